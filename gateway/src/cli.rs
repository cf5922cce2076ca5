//! Commands. Each ends in one clear line and an exit code: 0 done, 1 failed, 2 the input is wrong,
//! 3 readings are missing (`sen ledger`).

mod backup;
mod ledger;
mod place;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use rusqlite::Connection;
use sen_gateway::config::{Config, ConfigError, parse_duration};
use sen_gateway::demo::Demo;
use sen_gateway::registry::{self, NodeEntry, RegistryError, RegistryFile};
use sen_gateway::serve::{self, Gateway};
use sen_gateway::{demo, journal};

#[derive(Parser)]
#[command(
    name = "sen",
    version,
    about = "Farm telemetry gateway: MQTT in, durable journal, InfluxDB, alerts and phone page"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Serve {
        /// Configuration file; see sen.example.toml.
        #[arg(long)]
        config: PathBuf,
    },
    /// Run everything in one process with a simulated fleet that replays real data.
    Demo {
        /// Where the journal lives; a temporary directory if left out.
        #[arg(long)]
        data_dir: Option<PathBuf>,
        /// Address of the page.
        #[arg(long, default_value = "0.0.0.0:8080")]
        web: std::net::SocketAddr,
        /// Address of the broker.
        #[arg(long, default_value = "127.0.0.1:1883")]
        mqtt: std::net::SocketAddr,
        /// Simulated nodes, 1 to 12.
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=12))]
        nodes: u8,
        /// How much faster than in nature the series run from the start on.
        #[arg(long, default_value_t = 120.0)]
        speed: f64,
        /// How much history there is at the start.
        #[arg(long, default_value = "7d", value_parser = duration)]
        history: std::time::Duration,
        /// Where in the series to begin.
        #[arg(long, default_value = "10d", value_parser = duration)]
        start_offset: std::time::Duration,
    },
    /// Check a configuration file: every fault at once, exit code 2 if there is one.
    CheckConfig {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Farms, plots and nodes from a file.
    Registry {
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// Nodes, one at a time.
    Node {
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// What arrived and what is missing, by node and day. Works beside a running gateway. Exit code 3 if readings of the
    /// days asked for are missing.
    Ledger(ledger::Ledger),
    /// Copy the journal to a file, checked. Works beside a running gateway.
    Backup(backup::Backup),
    /// Make a backup the journal. The gateway must not run.
    Restore(backup::Restore),
    /// Look into the journal.
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
}

#[derive(Subcommand)]
enum RegistryCommand {
    /// Add or change all that the file names, or nothing. Prints generated passwords once.
    Apply {
        /// TOML with `[[farm]]`, `[[plot]]` and `[[node]]`.
        file: PathBuf,
        /// Configuration file of the gateway.
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
enum NodeCommand {
    /// Add a node, or move a known one to another plot. Prints a new node's password once.
    Add {
        /// Node id: 1 to 32 of a-z, 0-9 and -.
        id: String,
        /// The plot it stands on.
        #[arg(long)]
        plot: String,
        /// Name for people.
        #[arg(long)]
        name: Option<String>,
        /// Configuration file of the gateway.
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
enum JournalCommand {
    /// Print every reading as a line of JSON. Works beside a running gateway.
    Dump {
        /// Configuration file of the gateway.
        #[arg(long)]
        config: PathBuf,
    },
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number with s, m, h or d, such as 7d".to_owned())
}

/// Runs the command line.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    log();
    let done = match cli.command {
        Command::Serve { config } => Config::load(&config)
            .map_err(Into::into)
            .and_then(|c| block_on(serve(c))),
        Command::Demo {
            data_dir,
            web,
            mqtt,
            nodes,
            speed,
            history,
            start_offset,
        } => block_on(demo::run(
            Demo {
                data_dir,
                web,
                mqtt,
                nodes,
                speed,
                history,
                start_offset,
            },
            stopped(),
        )),
        Command::CheckConfig { config } => Config::load(&config)
            .map_err(Into::into)
            .map(|_| println!("{}: all right", config.display())),
        Command::Registry {
            command: RegistryCommand::Apply { file, config },
        } => apply(&file, &config),
        Command::Node {
            command:
                NodeCommand::Add {
                    id,
                    plot,
                    name,
                    config,
                },
        } => Config::load(&config).map_err(Into::into).and_then(|c| {
            write(
                &c.data_dir,
                &RegistryFile {
                    node: vec![NodeEntry {
                        id,
                        plot,
                        name,
                        password: None,
                    }],
                    ..Default::default()
                },
            )
        }),
        Command::Ledger(args) => ledger::run(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Journal {
            command: JournalCommand::Dump { config },
        } => Config::load(&config).map_err(Into::into).and_then(|c| {
            let out = std::io::stdout().lock();
            journal::dump::all(&c.data_dir, &mut std::io::BufWriter::new(out))?;
            say_damage(&c.data_dir);
            Ok(())
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // The chain on one line: what failed, then why.
            eprintln!("sen: {e:#}");
            ExitCode::from(if e.is::<ledger::Missing>() {
                3
            } else if is_input_error(&e) {
                2
            } else {
                1
            })
        }
    }
}

/// Says beside the output that part of what was stored is lost, where that is so.
fn say_damage(dir: &std::path::Path) {
    for damage in journal::damage_of(dir) {
        eprintln!("sen: {damage}");
    }
}

fn is_input_error(e: &anyhow::Error) -> bool {
    e.downcast_ref::<ConfigError>().is_some()
        || e.downcast_ref::<toml::de::Error>().is_some()
        || matches!(e.downcast_ref(), Some(RegistryError::Faults(_)))
        || matches!(
            e.downcast_ref(),
            Some(journal::dump::DumpError::Unusable(_))
        )
        || ledger::is_input_error(e)
        || backup::is_input_error(e)
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SEN_LOG")
        .unwrap_or_else(|_| "info,rmqtt=error,rmqtt_net=error,rumqttc=warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // Both of rustls' users in the process take the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .context("can't start")?
        .block_on(work)
}

/// Ends at SIGTERM or Ctrl-C.
async fn stopped() {
    let mut term = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(s) => s,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let gateway = Gateway::start(config, false, serve::metrics()).await?;
    if let Some(mqtt) = gateway.mqtt {
        println!("listening mqtt {mqtt}");
    }
    println!("listening web http://{}", gateway.web);
    println!("ready");
    let _ = std::io::stdout().flush();
    stopped().await;
    tracing::info!("stopping");
    gateway.stop().await;
    Ok(())
}

fn apply(file: &Path, config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} can't be read", file.display()))?;
    let parsed: RegistryFile =
        toml::from_str(&text).with_context(|| format!("{} can't be used", file.display()))?;
    write(&config.data_dir, &parsed)
}

fn write(dir: &Path, file: &RegistryFile) -> anyhow::Result<()> {
    let c: Connection = registry::open(dir)?;
    let tx = c.unchecked_transaction()?;
    let generated = registry::apply(&tx, file)?;
    tx.commit()?;
    for g in generated {
        println!("node {} password {}", g.node, g.password.reveal());
    }
    println!(
        "{} farms, {} plots, {} nodes applied",
        file.farm.len(),
        file.plot.len(),
        file.node.len()
    );
    Ok(())
}
