//! `sen flash`: image and node configuration onto a board, or into a file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use sen_gateway::broker::identity::{Files, Identity};
use sen_gateway::clock::Clock;
use sen_gateway::config::{Broker, Config, Secret};
use sen_gateway::flash::elf;
use sen_gateway::flash::layout::Layout;
use sen_gateway::flash::tool::Tool;
use sen_gateway::flash::{FlashError, Job, Kind};
use sen_gateway::nodes::{self, NewNode};
use sen_gateway::{files, registry};
use sen_wire::provision::{Gateway, Hidden, Mobile, Provision, Tls, Wifi};

#[derive(Args)]
pub(super) struct Flash {
    /// The node. One that is not known yet is added, and waits for its claim.
    node: String,
    /// Its board, as the board's firmware calls itself, such as esp32c3.
    #[arg(long)]
    board: String,
    /// The board's image: all of an ESP32's flash (`espflash save-image --merge`), or the program alone, ELF or .bin.
    /// Left out: the node configuration alone is written.
    #[arg(long)]
    image: Option<PathBuf>,
    /// What lies where in the flash (partitions.csv); an ESP32's image has it in itself.
    #[arg(long)]
    partitions: Option<PathBuf>,
    /// What brings it onto the board.
    #[arg(long, value_enum, default_value = "auto")]
    with: With,
    /// The chip, as espflash or probe-rs calls it; the board's name if left out.
    #[arg(long)]
    chip: Option<String>,
    /// Serial port for espflash; it looks for one if left out.
    #[arg(long)]
    serial: Option<String>,
    /// Address of the flash's first byte, for probe-rs.
    #[arg(long, default_value = "0x08000000", value_parser = address)]
    flash_base: u32,
    #[command(flatten)]
    network: Network,
    /// File with the node's password. Left out: it gets a new one, and the old one works no more.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Keep the status LED dark.
    #[arg(long)]
    no_led: bool,
    /// Speed of the probes' bus, bit/s.
    #[arg(long)]
    bus_baud: Option<u32>,
    /// Show what would be written where, and change nothing: no board, no file, no password.
    #[arg(long, conflicts_with = "out")]
    dry_run: bool,
    /// Write all of it to this file (0600: it holds the passwords) in place of a board.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Configuration file of the gateway.
    #[arg(long)]
    config: PathBuf,
}

#[derive(Args)]
struct Network {
    /// The gateway's name or IPv4 address, as the node reaches it.
    #[arg(long)]
    host: String,
    /// The gateway's port; that of its configuration if left out.
    #[arg(long)]
    port: Option<u16>,
    /// Connect in the open, without TLS: only on a network of one's own.
    #[arg(long)]
    plain: bool,
    /// Name of the Wi-Fi.
    #[arg(long)]
    wifi: Option<String>,
    /// File with the Wi-Fi's password; left out for an open network.
    #[arg(long, requires = "wifi")]
    wifi_password_file: Option<PathBuf>,
    /// Access point name of the mobile network.
    #[arg(long)]
    apn: Option<String>,
    /// User at the access point.
    #[arg(long, requires = "apn")]
    apn_user: Option<String>,
    /// File with the password at the access point.
    #[arg(long, requires = "apn")]
    apn_password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum With {
    /// espflash for boards called esp32…, probe-rs for others.
    Auto,
    Espflash,
    ProbeRs,
}

fn address(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u32::from_str_radix(digits, 16).map_err(|_| "write an address such as 0x08000000".to_owned())
}

/// Does it.
pub(super) fn run(args: &Flash) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let tool = args.tool();
    if !args.dry_run && args.out.is_none() {
        // Before anything is changed.
        tool.find()?;
    }
    let known = nodes::list(&registry::open(&config.data_dir)?)?
        .into_iter()
        .find(|n| n.id == args.node);
    let given = args.password_file.as_deref().map(secret).transpose()?;
    if let (None, Some(_)) = (&known, &given) {
        bail!(
            "{} is not known yet: add it with `sen node add`, or leave out --password-file",
            args.node
        );
    }
    // Worked out once with a password of the right length: whatever is wrong is found before the real one is made.
    let stand_in = Secret::from("0".repeat(26));
    let key = args.network.key(&config)?;
    let secrets = Secrets::read(&args.network)?;
    let draft = args.job(
        &config,
        given.as_ref().unwrap_or(&stand_in),
        key.as_ref(),
        &secrets,
    )?;
    if args.dry_run {
        show(&draft, &tool);
        if given.is_none() {
            println!(
                "the node gets a new password when this is written: sha256 of the node configuration differs then"
            );
        }
        return Ok(());
    }
    let (password, new) = match given {
        Some(password) => (password, false),
        None => (args.credentials(&config, known.is_some())?, true),
    };
    let job = args.job(&config, &password, key.as_ref(), &secrets)?;
    show(&job, &tool);
    let done = match &args.out {
        Some(out) => files::write_whole(out, &job.merged(), 0o600)
            .with_context(|| format!("{} can't be written", out.display()))
            .map(|()| println!("written to {}", out.display())),
        None => write(&job, &tool),
    };
    if new {
        // Also when the board could not be written: a second try needs it.
        println!("node {} password {}", args.node, password.reveal());
    }
    done
}

/// Whether the input is to blame.
pub(super) fn is_input_error(e: &anyhow::Error) -> bool {
    e.downcast_ref::<FlashError>().is_some()
}

struct Secrets {
    wifi: Option<Secret>,
    apn: Option<Secret>,
}

impl Secrets {
    fn read(network: &Network) -> anyhow::Result<Self> {
        let read = |path: &Option<PathBuf>| path.as_deref().map(secret).transpose();
        Ok(Self {
            wifi: read(&network.wifi_password_file)?,
            apn: read(&network.apn_password_file)?,
        })
    }
}

fn secret(path: &Path) -> anyhow::Result<Secret> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    Ok(Secret::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}

impl Network {
    /// The gateway's key, unless the node connects in the open.
    fn key(&self, config: &Config) -> anyhow::Result<Option<Identity>> {
        if self.plain {
            return Ok(None);
        }
        let Broker::Embedded {
            tls: Some(door), ..
        } = &config.broker
        else {
            bail!(
                "the gateway has no TLS for nodes: set broker.tls_listen, or say --plain for a network of your own"
            );
        };
        let own = Files::in_data(&config.data_dir);
        let files = door.files.as_ref().unwrap_or(&own);
        if door.files.is_none() && !files.key.exists() {
            bail!("the gateway has no key yet: it makes one at its first start");
        }
        Ok(Some(Identity::read(files)?))
    }

    fn port(&self, config: &Config) -> anyhow::Result<u16> {
        let configured = match &config.broker {
            Broker::Embedded { listen, tls, .. } => {
                let plain = listen.map(|a| a.port());
                let secured = tls.as_ref().map(|d| d.listen.port());
                if self.plain { plain } else { secured }
            }
            Broker::External(external) => Some(external.port),
        };
        self.port
            .or(configured)
            .context("the gateway listens nowhere in the open: leave out --plain, or give --port")
    }
}

impl Flash {
    fn is_esp(&self) -> bool {
        match self.with {
            With::Auto => self.board.starts_with("esp32"),
            with => with == With::Espflash,
        }
    }

    fn tool(&self) -> Tool {
        let chip = self.chip.clone().unwrap_or_else(|| self.board.clone());
        if self.is_esp() {
            Tool::Espflash {
                chip,
                port: self.serial.clone(),
            }
        } else {
            Tool::ProbeRs {
                chip,
                base: self.flash_base,
            }
        }
    }

    fn job(
        &self,
        config: &Config,
        password: &Secret,
        key: Option<&Identity>,
        secrets: &Secrets,
    ) -> anyhow::Result<Job> {
        let hidden = |secret: &'_ Option<Secret>| secret.as_ref().map(|s| s.reveal().to_owned());
        let (wifi_password, apn_password) = (hidden(&secrets.wifi), hidden(&secrets.apn));
        let gateway = Gateway {
            host: &self.network.host,
            port: self.network.port(config)?,
            tls: key.map_or(Tls::Off, |identity| Tls::Pinned(identity.point())),
        };
        let node = Provision {
            wifi: self.network.wifi.as_deref().map(|name| Wifi {
                name,
                password: wifi_password.as_deref().map(Hidden),
            }),
            mobile: self.network.apn.as_deref().map(|apn| Mobile {
                apn,
                user: self.network.apn_user.as_deref(),
                password: apn_password.as_deref().map(Hidden),
            }),
            led: !self.no_led,
            bus_baud: self.bus_baud,
            ..Provision::new(&self.node, password.reveal(), gateway, &self.board)
        };
        let image = match &self.image {
            Some(path) => {
                let mut bytes =
                    fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
                if !self.is_esp() && bytes.starts_with(elf::MAGIC) {
                    bytes = elf::program(&bytes, self.flash_base)?;
                }
                Some((path.clone(), bytes))
            }
            None => None,
        };
        let layout = match &self.partitions {
            Some(path) => {
                let text = fs::read_to_string(path)
                    .with_context(|| format!("{} can't be read", path.display()))?;
                Some(Layout::from_csv(&text).map_err(FlashError::from)?)
            }
            None => None,
        };
        let kind = if self.is_esp() {
            Kind::Esp
        } else {
            Kind::Program
        };
        if layout.is_none() && (image.is_none() || kind == Kind::Program) {
            bail!(
                "--partitions is needed: the board's partitions.csv says where the node configuration goes"
            );
        }
        Ok(Job::new(image, kind, layout.as_ref(), &node)?)
    }

    /// A password for the node: of a new one, or in place of its old one.
    fn credentials(&self, config: &Config, known: bool) -> anyhow::Result<Secret> {
        super::node::write(&config.data_dir, |c| {
            if known {
                let password = nodes::new_password(c, &self.node)?;
                nodes::set_board(c, &self.node, &self.board)?;
                return Ok(password);
            }
            let new = NewNode {
                id: self.node.clone(),
                board: Some(self.board.clone()),
                ..NewNode::default()
            };
            let made = nodes::add(c, &new, Clock::system().now())?;
            if let Some(code) = &made.claim_code {
                println!("node {} claim-code {code}", made.node);
            }
            Ok(made.password)
        })
    }
}

fn show(job: &Job, tool: &Tool) {
    for write in &job.writes {
        println!("{write}");
        let file = write.file.as_deref().unwrap_or(Path::new("node.bin"));
        let words = tool.arguments(file, write.offset);
        let words: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
        println!("  with {} {}", tool.name(), words.join(" "));
    }
    if let Some(inlaid) = &job.inlaid {
        println!("laid into it before: {inlaid}");
    }
}

fn write(job: &Job, tool: &Tool) -> anyhow::Result<()> {
    let program = tool.find()?;
    // Holds passwords: 0600, and gone when this ends.
    let dir = tempfile::tempdir()?;
    for (i, write) in job.writes.iter().enumerate() {
        let file = dir.path().join(format!("{i}.bin"));
        files::write_whole(&file, &write.bytes, 0o600)?;
        let status = std::process::Command::new(&program)
            .args(tool.arguments(&file, write.offset))
            .status()
            .with_context(|| format!("{} can't be started", program.display()))?;
        if !status.success() {
            bail!(
                "{} failed at {:#x} ({status}): the board may be half written, flash it again",
                tool.name(),
                write.offset
            );
        }
    }
    println!("written");
    Ok(())
}
