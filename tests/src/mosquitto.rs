//! A real Mosquitto with passwords and an access list, as the operator's page describes it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

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
    dir: TestDir,
}

impl Mosquitto {
    /// Starts one. Its queue is unlimited: the default of 1 000 drops acknowledged messages.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(access: &Access, persistence: Persistence) -> Result<Self> {
        let dir = TestDir::new()?;
        let mut config = String::from(
            // Without `user root` it becomes another user, which both clears the parent-death
            // signal and bars it from the test's folder.
            "user root\nlog_dest stderr\nmax_queued_messages 0\nmax_inflight_messages 100\n\
             set_tcp_nodelay true\n",
        );
        match persistence {
            Persistence::None => config.push_str("persistence false\n"),
            Persistence::AtStop => config.push_str(&format!(
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
            let file = dir.path().join("mosquitto.conf");
            fs::write(
                &file,
                format!("listener {} 127.0.0.1\n{config}", addr.port()),
            )?;
            let program = Program::new("mosquitto", "mosquitto").arg("-c").arg(file);
            let mut process = program.start(dir.path())?;
            if up(&mut process, addr).await? {
                return Ok(Self {
                    process,
                    program,
                    addr,
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
