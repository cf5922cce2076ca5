//! `sen demo`: everything in one process, with a simulated fleet that replays real data.
//!
//! The fleet speaks MQTT to the embedded broker like any other node; nothing in the gateway knows that it is simulated,
//! but for the mark on the page.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sen_sim::{Fleet, FleetConfig, NodeSpec, Pace, Password, demo_fleet};

use crate::config::{Broker, Config, Keep};
use crate::registry::{self, Farm, Generated, NodeEntry, Plot, RegistryFile};
use crate::serve::{self, Gateway};

/// How the demonstration runs.
#[derive(Debug)]
pub struct Demo {
    /// Where the journal lives; a temporary directory, removed at the end, if `None`.
    pub data_dir: Option<PathBuf>,
    /// Address of the page.
    pub web: SocketAddr,
    /// Address of the broker.
    pub mqtt: SocketAddr,
    /// Simulated nodes, 1 to 12.
    pub nodes: u8,
    /// How much faster than in nature the series run from the start on.
    pub speed: f64,
    /// How much history there is at the start.
    pub history: Duration,
    /// Where in the series to begin.
    pub start_offset: Duration,
}

/// Runs until `stopped` is done.
///
/// # Errors
/// Whatever keeps the gateway or the fleet from starting; it says what to do.
pub async fn run(demo: Demo, stopped: impl Future<Output = ()>) -> anyhow::Result<()> {
    let temporary = match &demo.data_dir {
        Some(_) => None,
        None => {
            Some(tempfile::tempdir().context("no temporary directory; give one with --data-dir")?)
        }
    };
    let data_dir = demo
        .data_dir
        .clone()
        .or_else(|| temporary.as_ref().map(|t| t.path().to_path_buf()))
        .unwrap_or_default();
    let fleet = demo_fleet(usize::from(demo.nodes));
    let passwords = register(&data_dir, &fleet)?;
    let config = Config {
        data_dir,
        name: "Sen".to_owned(),
        broker: Broker::Embedded {
            listen: Some(demo.mqtt),
            tls: None,
            open: true,
        },
        fold_every: Duration::from_secs(3_600),
        keep: Keep::default(),
        influx: None,
        web: demo.web,
    };
    let gateway = Gateway::start(config, true, serve::metrics()).await?;
    let Some(mqtt) = gateway.mqtt else {
        anyhow::bail!("the demonstration needs the embedded broker")
    };
    // A journal that has been here before has its past already.
    let history = if *gateway.journal.head().borrow() == 0 {
        demo.history
    } else {
        Duration::ZERO
    };
    let nodes = fleet
        .nodes
        .iter()
        .zip(passwords)
        .map(|(n, g)| {
            Ok(NodeSpec {
                id: n.id.parse()?,
                password: Password(g.password.reveal().to_owned()),
                source: n.source,
                start_offset: n.start_offset,
            })
        })
        .collect::<Result<_, sen_wire::id::IdError>>()?;
    let pace = Pace {
        start_offset: demo.start_offset,
        history: Some(history),
        speed: demo.speed,
    };
    let fleet = Fleet::start(&FleetConfig {
        broker: reachable(mqtt, false).to_string(),
        nodes,
        pace,
    })?;
    announce(mqtt, gateway.web);
    stopped.await;
    tracing::info!("stopping");
    fleet.stop().await;
    gateway.stop().await;
    Ok(())
}

/// Writes the fleet's farms, plots and nodes, with fresh passwords.
fn register(dir: &std::path::Path, fleet: &sen_sim::Demo) -> anyhow::Result<Vec<Generated>> {
    let passwords: Vec<Generated> = fleet
        .nodes
        .iter()
        .map(|n| Generated {
            node: n.id.clone(),
            password: registry::generate(),
        })
        .collect();
    let file = RegistryFile {
        farm: fleet
            .farms
            .iter()
            .map(|f| Farm {
                id: f.id.clone(),
                name: f.name.clone(),
                commune: Some(f.commune.clone()),
                groups: Vec::new(),
            })
            .collect(),
        plot: fleet
            .plots
            .iter()
            .map(|p| Plot {
                id: p.id.clone(),
                farm: p.farm.clone(),
                name: p.name.clone(),
                crop: p.crop.clone(),
                area_ha: p.area_ha,
                sown: None,
            })
            .collect(),
        node: fleet
            .nodes
            .iter()
            .zip(&passwords)
            .map(|(n, g)| NodeEntry {
                id: n.id.clone(),
                plot: n.plot.clone(),
                name: Some(n.name.clone()),
                password: Some(g.password.clone()),
            })
            .collect(),
    };
    let c = registry::open(dir)?;
    let tx = c.unchecked_transaction()?;
    registry::apply(&tx, &file)?;
    tx.commit()?;
    Ok(passwords)
}

/// An address that others can open: this machine's own in place of "any".
fn reachable(addr: SocketAddr, from_outside: bool) -> SocketAddr {
    if !addr.ip().is_unspecified() {
        return addr;
    }
    let own = || -> Option<IpAddr> {
        // Asks the routing table which address would be used; nothing is sent (192.0.2.1 is for documentation, RFC 5737).
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("192.0.2.1:9").ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let ip = if from_outside { own() } else { None };
    SocketAddr::new(
        ip.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        addr.port(),
    )
}

fn announce(mqtt: SocketAddr, web: SocketAddr) {
    let page = format!("http://{}", reachable(web, true));
    println!("listening mqtt {mqtt}");
    println!("listening web http://{}", reachable(web, false));
    if let Ok(code) = QrCode::new(&page) {
        println!(
            "{}",
            code.render::<Dense1x2>()
                .dark_color(Dense1x2::Light)
                .light_color(Dense1x2::Dark)
                .build()
        );
    }
    println!(
        "Open {page} on a phone in the same network, or scan the code. Ctrl-C ends the demonstration."
    );
    println!("ready");
    let _ = std::io::Write::flush(&mut std::io::stdout());
}
