//! A real Mosquitto with passwords and an access list, as the operator's page describes it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::net::free_addr;
use crate::process::{Program, Running, TestDir};
use crate::wait;

/// User name of the gateway.
pub const GATEWAY_USER: &str = "sen";
/// Password of the gateway.
pub const GATEWAY_PASSWORD: &str = "gateway-password-0123";

/// How Mosquitto keeps what it has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Memory only.
    None,
    /// Written to disk after every change, within a second.
    EveryChange,
    /// Written to disk at an orderly stop (and every 30 minutes): its default settings.
    AtStop,
    /// The same, and the default limits too: 20 messages in flight, 1 000 queued a client; those beyond are acknowledged
    /// and dropped.
    Defaults,
}

/// Who may come in.
#[derive(Debug, Clone)]
pub enum Access {
    /// Anyone: for the benchmark.
    Anonymous,
    /// The gateway, and these nodes (name, password), each on its own topics.
    Nodes(Vec<(String, String)>),
}

/// A running broker.
#[derive(Debug)]
pub struct Mosquitto {
    process: Running,
    program: Program,
    addr: SocketAddr,
    tls: Option<SocketAddr>,
    dir: TestDir,
}

impl Mosquitto {
    /// Starts one. Its queue is unlimited unless the defaults are asked for: 1 000, beyond which it drops acknowledged
    /// messages.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(access: &Access, persistence: Persistence) -> Result<Self> {
        Self::start_in(TestDir::new()?, access, persistence, false).await
    }

    /// One that also listens with TLS ([`Mosquitto::tls_addr`]), under a certificate for `localhost` of an authority
    /// made for it ([`Mosquitto::ca_file`]).
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_tls(access: &Access, persistence: Persistence) -> Result<Self> {
        let dir = TestDir::new()?;
        write_certificates(dir.path())?;
        Self::start_in(dir, access, persistence, true).await
    }

    async fn start_in(
        dir: TestDir,
        access: &Access,
        persistence: Persistence,
        tls: bool,
    ) -> Result<Self> {
        let mut config = String::from(
            // Without `user root` it becomes another user, which both clears the parent-death
            // signal and bars it from the test's folder.
            "user root\nlog_dest stderr\nset_tcp_nodelay true\n",
        );
        if persistence != Persistence::Defaults {
            config.push_str("max_queued_messages 0\nmax_inflight_messages 100\n");
        }
        match persistence {
            Persistence::None => config.push_str("persistence false\n"),
            Persistence::AtStop | Persistence::Defaults => config.push_str(&format!(
                "persistence true\npersistence_location {}/\n",
                dir.path().display()
            )),
            Persistence::EveryChange => config.push_str(&format!(
                "persistence true\npersistence_location {}/\nautosave_on_changes true\n\
                 autosave_interval 1\n",
                dir.path().display()
            )),
        }
        match access {
            Access::Anonymous => config.push_str("allow_anonymous true\n"),
            Access::Nodes(nodes) => {
                config.push_str(&write_access(dir.path(), nodes)?);
            }
        }
        for _ in 0..5 {
            let addr = free_addr();
            let tls = tls.then(free_addr);
            let file = dir.path().join("mosquitto.conf");
            let at = dir.path().display();
            let secured = tls.map_or_else(String::new, |tls| {
                format!(
                    "listener {} 127.0.0.1\ncertfile {at}/server.pem\nkeyfile {at}/server.key\n",
                    tls.port()
                )
            });
            fs::write(
                &file,
                format!("listener {} 127.0.0.1\n{config}{secured}", addr.port()),
            )?;
            let program = Program::new("mosquitto", "mosquitto").arg("-c").arg(file);
            let mut process = program.start(dir.path())?;
            if up(&mut process, addr).await? {
                return Ok(Self {
                    process,
                    program,
                    addr,
                    tls,
                    dir,
                });
            }
        }
        bail!("mosquitto did not start")
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens with TLS.
    ///
    /// # Errors
    /// When it was started without.
    pub fn tls_addr(&self) -> Result<SocketAddr> {
        self.tls.context("started without TLS")
    }

    /// The certificate that its own is checked against.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The process, for signals and figures.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Ends it in an orderly way (it then saves what it holds).
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal("TERM")?;
        self.process.wait_exit(Duration::from_secs(20))?;
        Ok(())
    }

    /// Starts it again with the same files on the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill9();
        self.process = self.program.start(self.dir.path())?;
        if !up(&mut self.process, self.addr).await? {
            bail!("mosquitto ended: {}", self.process.stderr());
        }
        Ok(())
    }
}

async fn up(process: &mut Running, addr: SocketAddr) -> Result<bool> {
    wait::until("mosquitto", wait::PATIENCE, || {
        let ended = process.exited().is_some();
        async move {
            if ended {
                return Ok(Some(false));
            }
            tokio::net::TcpStream::connect(addr).await?;
            Ok(Some(true))
        }
    })
    .await
}

/// Writes the password and access files; gives the lines that name them.
fn write_access(dir: &Path, nodes: &[(String, String)]) -> Result<String> {
    let passwords = dir.join("passwords");
    let mut plain = format!("{GATEWAY_USER}:{GATEWAY_PASSWORD}\n");
    let mut acl = format!("user {GATEWAY_USER}\ntopic readwrite sen/1/#\n\n");
    for (name, password) in nodes {
        plain.push_str(&format!("{name}:{password}\n"));
    }
    acl.push_str(
        "pattern write sen/1/%u/pack\npattern write sen/1/%u/hello\n\
         pattern read sen/1/%u/receipt\npattern read sen/1/%u/config\n",
    );
    fs::write(&passwords, plain)?;
    // Hashes the plain passwords in place.
    Program::new("mosquitto_passwd", "mosquitto_passwd")
        .arg("-U")
        .arg(&passwords)
        .run(dir, Duration::from_secs(60))?
        .success()?;
    let acl_file = dir.join("acl");
    fs::write(&acl_file, acl)?;
    Ok(format!(
        "allow_anonymous false\npassword_file {}\nacl_file {}\n",
        passwords.display(),
        acl_file.display()
    ))
}

/// An authority and a server certificate under it.
fn write_certificates(dir: &Path) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(dir.join("ca.pem"), ca.self_signed(&ca_key)?.pem())?;
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["localhost".to_owned()])?;
    fs::write(
        dir.join("server.pem"),
        server.signed_by(&key, &issuer)?.pem(),
    )?;
    fs::write(dir.join("server.key"), key.serialize_pem())?;
    Ok(())
}
