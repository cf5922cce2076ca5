//! Makes the journal of a released schema, with the binary of that version: what `gateway/src/journal/released` holds.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::types::Value as Cell;
use sen_tests::device::now_ms;
use sen_tests::fake_influx::{FakeInflux, Mood};
use sen_tests::mqtt::Client;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::process::Program;
use sen_tests::sen::{Influx, Sen, Setup, binary, who};
use sen_tests::wait;
use serde_json::{Value, json};

const BOOT: u64 = (7 << 32) | 1;
const CHANNELS: [&str; 4] = ["sal", "wt", "ph", "do"];

async fn send(sen: &Sen, node: &str, place: Option<(u64, u32)>, from: i64) -> Result<()> {
    let seq = place.map_or(0, |p| p.1);
    let record = |(i, channel): (u32, &'static str)| Record {
        channel,
        at: from + i64::from(seq + i) * 60_000,
        value: match seq + i {
            // A fault of the probe.
            6 => Err(3),
            k => Ok(Decimal(i64::from(k * 7 % 100), -1)),
        },
    };
    let mut records: Vec<Record> = (0..).zip(CHANNELS).map(record).collect();
    if seq == 16 {
        // An unknown channel: the record is refused and keeps its place.
        records[1].channel = "zz";
    }
    let pack = Pack { place, records };
    let mut client = Client::connect(sen.mqtt(), &who(node)).await?;
    client
        .publish(&format!("sen/1/{node}/pack"), pack.json(), wait::PATIENCE)
        .await
}

fn rows(c: &rusqlite::Connection, sql: &str) -> Result<Value> {
    let mut select = c.prepare(sql)?;
    let columns = select.column_count();
    let row = |r: &rusqlite::Row<'_>| -> rusqlite::Result<Vec<Value>> {
        (0..columns)
            .map(|i| {
                Ok(match r.get::<_, Cell>(i)? {
                    Cell::Integer(n) => json!(n),
                    Cell::Text(text) => json!(text),
                    other => json!(format!("{other:?}")),
                })
            })
            .collect()
    };
    let rows: Vec<Vec<Value>> = select.query_map([], row)?.collect::<Result<_, _>>()?;
    Ok(json!(rows))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "makes a file"]
async fn a_journal_of_this_version() -> Result<()> {
    let out: PathBuf = std::env::var_os("SEN_FIXTURES")
        .context("SEN_FIXTURES names the folder to write to")?
        .into();
    let influx = FakeInflux::start().await?;
    let from = now_ms() - 2 * 24 * 3_600_000;
    let refused = from + 9 * 60_000;
    influx.refuse(move |p| (p.time == refused).then(|| "refused for the fixture".to_owned()));
    let mut setup = Setup::new(3).influx(Influx::from(&influx));
    setup.extra = "[journal]\nfold_every = \"1s\"\n".to_owned();
    let mut sen = Sen::start(&setup).await?;

    // Folded: two numbered nodes, one of them with a hole at 12 to 15, and one that does not number.
    for first in [0, 4, 8, 16] {
        send(&sen, "node-01", Some((BOOT, first)), from).await?;
    }
    send(&sen, "node-02", Some((BOOT + 5, 0)), from).await?;
    send(&sen, "node-03", None, from).await?;
    sen.drained(wait::PATIENCE).await?;
    sen.folded().await?;
    sen.stop_folding()?;

    // In the log: the next boot, a repeat, and what InfluxDB has not taken.
    influx.set_mood(Mood::Hanging);
    sen.restart().await?;
    for first in [0, 0, 4] {
        send(&sen, "node-01", Some((BOOT + 1, first)), from + 3_600_000).await?;
    }
    send(&sen, "node-02", Some((BOOT + 5, 4)), from).await?;
    send(&sen, "node-03", None, from + 3_600_000).await?;
    let nodes = sen.http().json("/api/v1/nodes").await?;
    let accounts: Vec<Value> = nodes
        .as_array()
        .context("no nodes")?
        .iter()
        .map(|n| json!([n["id"], n["received"], n["missing"]]))
        .collect();
    // Not in order: the ledger's tables lag behind the log.
    sen.kill9();
    // Closes the file in order, without a write-ahead log.
    let registry = sen.dir().join("registry.toml").display().to_string();
    sen.run(&["registry", "apply", &registry])?.success()?;

    let path = sen.dir().join("data/sen.db");
    let dump = sen.run(&["journal", "dump"])?.success()?.out;
    let dump: Vec<Value> = dump
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let c = rusqlite::Connection::open(&path)?;
    let version: i64 = c.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    let program = Program::new("version", binary()?)
        .arg("--version")
        .run(sen.dir(), wait::PATIENCE)?;
    let expected = json!({
        "program": program.out.trim(),
        "dump": dump,
        "accounts": accounts,
        "nodes": rows(&c, "SELECT node.num, node.id, node.plot, node.name, plot.farm FROM node JOIN plot ON plot.id = node.plot ORDER BY num")?,
        "secrets": rows(&c, "SELECT id, hex(secret) FROM node ORDER BY num")?,
        "cursors": rows(&c, "SELECT name, at FROM cursor ORDER BY name")?,
        "head": rows(&c, "SELECT max(id) FROM log")?,
        "dead_letters": rows(&c, "SELECT sink, line, reason FROM dead_letter ORDER BY id")?,
    });
    c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(c);
    ensure!(dump.len() > 30, "{} readings", dump.len());
    fs::create_dir_all(&out)?;
    let name = out.join(format!("version_{version}"));
    fs::write(
        name.with_extension("json"),
        serde_json::to_string_pretty(&expected)? + "\n",
    )?;
    let mut gz = GzEncoder::new(
        File::create(name.with_extension("db.gz"))?,
        Compression::best(),
    );
    gz.write_all(&fs::read(&path)?)?;
    gz.finish()?.sync_all()?;
    Ok(())
}
