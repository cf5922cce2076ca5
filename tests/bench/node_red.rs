//! Mosquitto, Node-RED with an InfluxDB batch node, InfluxDB: the set-up that most tutorials end
//! with. Node-RED is installed from `bench/node-red/package-lock.json` by `scripts/bench.sh`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sen_tests::influxd::{DATABASE, Influxd};
use sen_tests::mosquitto::{Access, Mosquitto, Persistence};
use sen_tests::net::free_addr;
use sen_tests::process::{Program, TestDir};
use sen_tests::wait;
use serde_json::{Value, json};

use crate::Options;
use crate::measure::{Burst, Figures, plan, steady};
use crate::source::Nodes;

const SETTINGS: &str = include_str!("node-red/settings.js");
const BATCH: &str = include_str!("node-red/batch.js");

pub(crate) async fn burst(options: &Options) -> Result<Figures> {
    let home = PathBuf::from(
        std::env::var_os("BENCH_NODE_RED")
            .context("BENCH_NODE_RED is not set: scripts/bench.sh")?,
    );
    let script = home.join("node_modules/node-red/red.js");
    ensure!(script.is_file(), "no {}", script.display());

    let influx = Influxd::start().await?;
    let mut mosquitto = Mosquitto::start(&Access::Anonymous, Persistence::None).await?;
    let dir = TestDir::new()?;
    write_flow(dir.path(), &mosquitto, &influx)?;
    // The nodes beside Node-RED are found from its own place, not from the user's folder.
    let mut red = Program::new("node-red", "node")
        .arg(&script)
        .args(["--settings", "settings.js", "--userDir"])
        .arg(dir.path())
        .cwd(dir.path())
        .env("BENCH_UI_PORT", free_addr().port().to_string())
        .start(dir.path())?;
    wait::until("Node-RED's subscription", wait::PATIENCE, || {
        let connected = red.stdout().contains("Connected to broker");
        let ended = red.exited();
        let said = red.stdout();
        async move {
            ensure!(ended.is_none() && connected, "{said}");
            Ok(Some(()))
        }
    })
    .await?;
    let mut figures = Figures {
        system: "node-red",
        idle_kib: Some(red.rss_kib()?.0),
        ..Figures::default()
    };
    let addr = mosquitto.addr();
    let pids = [red.pid(), mosquitto.process().pid()];
    let each = options.messages / options.clients;
    let burst = Burst::run(plan(options, addr), Nodes::new(each, false), &pids).await?;
    burst.fill(&mut figures);
    burst.stored(&influx, &mut figures).await?;
    figures.cpu_us = Some(burst.cpu_us(0)?);
    figures.broker_cpu_us = Some(burst.cpu_us(1)?);
    steady(options, addr, Nodes::new(each, false), &pids, &mut figures).await?;
    figures.peak_kib = Some(red.rss_kib()?.1);
    Ok(figures)
}

fn write_flow(dir: &Path, mosquitto: &Mosquitto, influx: &Influxd) -> Result<()> {
    let names = json!({
        "at": "air_temperature", "ah": "air_humidity", "sm": "soil_moisture",
        "st": "soil_temperature", "wl": "water_level", "ec": "conductivity",
    });
    let flush = "node.timer = setInterval(() => { const batch = context.get('batch') || []; \
                 if (batch.length) { context.set('batch', []); node.send({ payload: batch }); } }, 1000);";
    let flow: Value = json!([
        { "id": "flow", "type": "tab", "label": "bench" },
        { "id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1",
          "port": mosquitto.addr().port().to_string(), "clientid": "node-red",
          "autoConnect": true, "protocolVersion": "4", "keepalive": "60", "cleansession": true },
        { "id": "store", "type": "influxdb", "hostname": "127.0.0.1",
          "port": influx.addr().port().to_string(), "protocol": "http", "database": DATABASE,
          "usetls": false, "influxdbVersion": "1.x", "url": influx.url() },
        { "id": "in", "type": "mqtt in", "z": "flow", "topic": "sen/1/+/pack", "qos": "1",
          "datatype": "json", "broker": "broker", "nl": false, "rap": true, "rh": 0,
          "inputs": 0, "wires": [["batch"]] },
        { "id": "batch", "type": "function", "z": "flow",
          "func": format!("const NAMES = {names};\n{BATCH}"), "outputs": 1,
          "initialize": flush, "finalize": "clearInterval(node.timer);", "wires": [["out"]] },
        { "id": "out", "type": "influxdb batch", "z": "flow", "influxdb": "store",
          "precision": "ms", "retentionPolicy": "", "wires": [] },
    ]);
    fs::write(dir.join("settings.js"), SETTINGS)?;
    fs::write(dir.join("flows.json"), serde_json::to_vec_pretty(&flow)?)?;
    Ok(())
}
