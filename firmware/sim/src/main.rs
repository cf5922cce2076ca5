//! `sen-sim`: a fleet of simulated nodes against any broker.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use sen_sim::{Fleet, FleetConfig, NodeSpec, Pace, Password, demo_fleet};
use serde::Deserialize;

#[derive(Parser)]
#[command(
    version,
    about = "Runs simulated Sen nodes over MQTT; they replay real measurements."
)]
struct Args {
    /// The broker's host:port.
    #[arg(long, default_value = "127.0.0.1:1883")]
    broker: String,
    /// The gateway's registry file (TOML with [[node]] id and password): these nodes are simulated. Without it, the demo's
    /// nodes with empty passwords.
    #[arg(long)]
    registry: Option<PathBuf>,
    /// How many nodes; by default all of the registry, or 12.
    #[arg(long)]
    nodes: Option<usize>,
    /// How many times faster than real the recordings go on.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// How much history to send first, such as 36h or 7d.
    #[arg(long, default_value = "0s", value_parser = duration)]
    history: Duration,
    /// Where in the recordings to begin.
    #[arg(long, default_value = "0s", value_parser = duration)]
    start_offset: Duration,
    /// Send all of the recordings at once, the last row stamped now, and end when all of it is receipted.
    #[arg(long, conflicts_with_all = ["history", "speed"])]
    whole: bool,
}

#[derive(Deserialize)]
struct Registry {
    #[serde(default)]
    node: Vec<RegistryNode>,
}

/// What a node of the registry file has; the gateway checks the rest.
#[derive(Deserialize)]
struct RegistryNode {
    id: String,
    #[serde(default)]
    password: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let pace = Pace {
        start_offset: args.start_offset,
        history: (!args.whole).then_some(args.history),
        speed: args.speed,
    };
    let fleet = Fleet::start(&FleetConfig {
        broker: args.broker.clone(),
        nodes: nodes(&args)?,
        pace,
    })?;
    let stopped = tokio::select! {
        () = fleet.finished() => false,
        signal = tokio::signal::ctrl_c() => signal.map(|()| true)?,
    };
    let (mut sampled, mut receipted, mut dropped) = (0, 0, 0);
    for node in fleet.stop().await {
        println!(
            "{} sampled {} receipted {} dropped {}",
            node.node, node.sampled, node.receipted, node.dropped
        );
        if let Some(error) = node.last_error {
            eprintln!("{} last error: {error}", node.node);
        }
        sampled += node.sampled;
        receipted += node.receipted;
        dropped += node.dropped;
    }
    println!("total sampled {sampled} receipted {receipted} dropped {dropped}");
    ensure!(
        stopped || sampled == receipted,
        "{} readings were dropped",
        dropped
    );
    Ok(())
}

/// The registry's nodes, each with the recording of the demo's node of the same id, else of the same place in the list.
fn nodes(args: &Args) -> anyhow::Result<Vec<NodeSpec>> {
    let Some(path) = &args.registry else {
        let demo = demo_fleet(args.nodes.unwrap_or(12));
        return demo
            .nodes
            .into_iter()
            .map(|node| spec(&node.id, String::new(), &node))
            .collect();
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let registry: Registry =
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let count = args.nodes.unwrap_or(registry.node.len());
    if count > registry.node.len() {
        bail!(
            "{} has {} nodes, not {count}",
            path.display(),
            registry.node.len()
        );
    }
    let demo = demo_fleet(count);
    let registered = registry.node.into_iter().take(count).zip(&demo.nodes);
    registered
        .map(|(node, by_place)| {
            let by_id = demo.nodes.iter().find(|demo| demo.id == node.id);
            spec(&node.id, node.password, by_id.unwrap_or(by_place))
        })
        .collect()
}

fn spec(id: &str, password: String, like: &sen_sim::demo::DemoNode) -> anyhow::Result<NodeSpec> {
    Ok(NodeSpec {
        id: id.parse().with_context(|| format!("node id {id:?}"))?,
        password: Password(password),
        source: like.source,
        start_offset: like.start_offset,
    })
}

/// `90s`, `15m`, `36h`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let parsed = units.into_iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(seconds)
    });
    parsed
        .map(Duration::from_secs)
        .ok_or_else(|| "write a number with s, m, h or d, such as 7d".into())
}
