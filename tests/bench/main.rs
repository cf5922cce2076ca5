//! The benchmark: Sen beside what users would pick instead, on this machine, now.
//!
//! `scripts/bench.sh` builds everything in release mode and runs it. Figures of different
//! machines, or of a quiet and a busy hour, can't be compared: all systems are measured in one
//! run, and the table says what fsync cost meanwhile.

mod backlog;
mod measure;
mod mosquitto;
mod node_red;
mod sen;
mod source;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use measure::{Figures, table};

/// Compares Sen, Mosquitto and Node-RED.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// What to measure; everything when not given.
    #[arg(value_enum)]
    systems: Vec<System>,
    /// Connections.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Messages of the burst, in all; a multiple of the clients.
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    /// Messages that a client has in flight.
    #[arg(long, default_value_t = 50)]
    window: usize,
    /// Messages a second of the steady part.
    #[arg(long, default_value_t = 1000)]
    rate: usize,
    /// Seconds of the steady part; 0 leaves it out.
    #[arg(long, default_value_t = 20)]
    steady: usize,
    /// Readings of the backlog, rounded up to whole messages of all clients.
    #[arg(long, default_value_t = 1_000_000)]
    backlog: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    /// Sen's own broker, to InfluxDB, fsync included.
    Sen,
    /// `sen demo` doing nothing but its demo.
    SenIdle,
    /// Mosquitto alone, which stores nothing.
    Mosquitto,
    /// Mosquitto with one subscriber.
    MosquittoSubscriber,
    /// Mosquitto, Node-RED, InfluxDB.
    NodeRed,
    /// Sen after an outage of InfluxDB, beside a plain loader; the run fails when it is too slow or too large.
    Backlog,
}

// One thread: the generator shares two cores with what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let systems = if options.systems.is_empty() {
        System::value_variants().to_vec()
    } else {
        options.systems.clone()
    };
    let mut rows: Vec<Figures> = Vec::new();
    let mut backlog = Ok(());
    for system in systems {
        eprintln!("--- {system:?}");
        let figures = match system {
            System::Sen => sen::burst(&options).await,
            System::SenIdle => sen::idle().await,
            System::Mosquitto => mosquitto::burst(&options, false).await,
            System::MosquittoSubscriber => mosquitto::burst(&options, true).await,
            System::NodeRed => node_red::burst(&options).await,
            System::Backlog => {
                let local = tokio::task::LocalSet::new();
                backlog = local.run_until(backlog::run(&options)).await;
                continue;
            }
        };
        match figures {
            Ok(figures) => {
                eprintln!("{figures:#?}");
                rows.push(figures);
            }
            Err(error) => eprintln!("{system:?} could not be measured: {error:#}"),
        }
    }
    if !rows.is_empty() {
        println!("{}", table(&options, &rows));
    }
    backlog.context("backlog")
}
