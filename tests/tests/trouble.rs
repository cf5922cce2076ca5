//! The phone page when something is wrong: refused points, until they are sent again; clocks of nodes and of the gateway.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use sen_tests::browser::Script;
use sen_tests::device::now_ms;
use sen_tests::fake_influx::{FakeInflux, Mood, Point};
use sen_tests::mqtt::Client;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::sen::{Influx, Sen, Setup, who};
use sen_tests::wait;

const LIMIT: Duration = Duration::from_secs(10);
/// The script looks at many pages, on a busy machine.
const LOOKS: Duration = Duration::from_secs(120);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const BOOT: u64 = (7 << 32) | 1;

async fn send(sen: &Sen, node: &str, records: Vec<Record>) -> Result<()> {
    let place = Some((BOOT, 0));
    let pack = Pack { place, records };
    let mut client = Client::connect(sen.mqtt(), &who(node)).await?;
    let topic = format!("sen/1/{node}/pack");
    client.publish(&topic, pack.cbor(), LIMIT).await
}

fn record(channel: &'static str, at: i64, hundredths: i64) -> Record {
    Record {
        channel,
        at,
        value: Ok(Decimal(hundredths, -2)),
    }
}

/// As InfluxDB 2 says it.
fn refusal(point: &Point) -> Option<String> {
    let has = |field: &str| point.fields.contains_key(field);
    if point.tags.get("node").map(String::as_str) != Some("node-01") {
        None
    } else if has("ph") {
        Some(String::from(
            "field type conflict: input field \"ph\" on measurement \"reading\" is type float, already exists as type integer",
        ))
    } else if has("salinity") {
        Some(String::from("points beyond retention policy"))
    } else if has("water_temperature") {
        Some(String::from(
            "max-values-per-tag limit exceeded (100000/100000)",
        ))
    } else {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_what_is_wrong_and_sends_dead_letters_again() -> Result<()> {
    let fake = FakeInflux::start().await?;
    fake.refuse(refusal);
    let mut sen = Sen::start(&Setup::new(2).influx(Influx::from(&fake))).await?;
    let start = now_ms() - HOUR;
    let channels = ["ph", "sal", "wt", "do", "ph", "sal", "ph"];
    let of_one = channels
        .iter()
        .zip(0..)
        .map(|(channel, i)| record(channel, start + i * MINUTE, 783 + i))
        .collect();
    send(&sen, "node-01", of_one).await?;
    let ahead = |i| record("ph", now_ms() + 24 * HOUR + i * MINUTE, 750 + i);
    send(&sen, "node-02", (0..3).map(ahead).collect()).await?;
    wait::until("six dead letters", LIMIT, || async {
        let list = sen.http().json("/api/v1/dead-letters").await?;
        anyhow::ensure!(list["total"] == 6, "{list}");
        Ok(Some(()))
    })
    .await?;
    sen.drained(LIMIT).await?;
    let before = fake.stored().len();

    let words = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/phone/src/i18n");
    let url = format!("http://{}", sen.web());
    let mut page = Script::start("trouble.mjs", &[&url, &words.display().to_string()])?;
    page.reach("away", LOOKS).await?;
    fake.set_mood(Mood::Status(503, None));
    page.go_on("away")?;
    page.reach("mended", LOOKS).await?;
    fake.refuse(|_| None);
    fake.set_mood(Mood::Good);
    page.go_on("mended")?;
    page.reach("behind", LOOKS).await?;
    // Everything is in InfluxDB now, and nothing is left.
    assert_eq!(fake.stored().len(), before + 6);
    let list = sen.http().json("/api/v1/dead-letters").await?;
    assert_eq!(list["total"], 0, "{list}");
    // The box was three hours further when it lost its power.
    sen.kill9();
    sen.received_later(3 * HOUR)?;
    sen.restart().await?;
    page.go_on(&format!("http://{}", sen.web()))?;
    let said = page.finish(LOOKS)?;
    eprintln!("{said}");
    Ok(())
}
