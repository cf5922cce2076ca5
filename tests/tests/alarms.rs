//! Alarms over the API: raised, taken, ended, written down once whatever happens to the gateway; rules that make no sense,
//! values that are not believed, presets, rehearsal.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use sen_tests::device::now_ms;
use sen_tests::dice::Dice;
use sen_tests::mqtt::Client;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::sen::{Sen, Setup, who};
use sen_tests::wait;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
const BOOT: u64 = (7 << 32) | 1;

/// A node that sends oxygen, reading by reading.
struct Probe {
    node: &'static str,
    seq: u32,
    at: i64,
}

impl Probe {
    fn new(node: &'static str) -> Self {
        Self {
            node,
            seq: 0,
            at: now_ms() - 2_700_000,
        }
    }

    /// One reading, a second after the one before, in hundredths of mg/L. Sends until it is acknowledged.
    async fn says(&mut self, sen: &Sen, hundredths: i64) -> Result<()> {
        self.at += 1_000;
        let record = Record {
            channel: "do",
            at: self.at,
            value: Ok(Decimal(hundredths, -2)),
        };
        let pack = Pack {
            place: Some((BOOT, self.seq)),
            records: vec![record],
        };
        self.seq += 1;
        let topic = format!("sen/1/{}/pack", self.node);
        let mut client = Client::connect(sen.mqtt(), &who(self.node)).await?;
        client.publish(&topic, pack.cbor(), LIMIT).await
    }

    async fn say(&mut self, sen: &Sen, all: &[i64]) -> Result<()> {
        for hundredths in all {
            self.says(sen, *hundredths).await?;
        }
        Ok(())
    }
}

fn low_oxygen() -> Value {
    json!({
        "id": "oxygen", "level": "critical", "over": {"plot": "binh-ao"}, "channel": "dissolved_oxygen",
        "when": {"below": {"value": 3.0, "clears_at": 3.5}}
    })
}

async fn put(sen: &Sen, rule: &Value) -> Result<Value> {
    let body = json!({ "rule": rule, "who": "the cooperative" });
    let (status, answer) = sen
        .http()
        .send_json(Method::PUT, "/api/v1/rules", &body, None)
        .await?;
    ensure!(status == 200, "{status}: {answer}");
    Ok(answer)
}

async fn alarms(sen: &Sen) -> Result<Vec<Value>> {
    let all = sen.http().json("/api/v1/alarms").await?;
    all.as_array().cloned().context("a list")
}

/// What the history says of a rule, oldest first: the state entered and since when it has been bad.
async fn told(sen: &Sen, rule: &str) -> Result<Vec<(String, i64)>> {
    let path = format!("/api/v1/alarms/history?rule={rule}&limit=1000");
    let entries = sen.http().json(&path).await?;
    let mut all = Vec::new();
    for entry in entries.as_array().context("a list")?.iter().rev() {
        let transition = &entry["entry"]["what"]["changed"]["transition"];
        let to = transition["to"].as_str().context("a state")?;
        all.push((to.to_owned(), transition["since"].as_i64().unwrap_or(0)));
    }
    Ok(all)
}

async fn standing(sen: &Sen, state: &str) -> Result<Value> {
    wait::until(&format!("an alarm that is {state}"), LIMIT, || async {
        let all = alarms(sen).await?;
        Ok(all.into_iter().find(|alarm| alarm["state"] == state))
    })
    .await
}

async fn quiet(sen: &Sen) -> Result<()> {
    wait::until("no alarm", LIMIT, || async {
        Ok(alarms(sen).await?.is_empty().then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_is_raised_taken_and_ends_once_through_kill_9() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(2)).await?;
    let answer = put(&sen, &low_oxygen()).await?;
    let sentence = answer["rule"]["sentence"]["vi"].as_str().context("words")?;
    ensure!(
        sentence.contains("oxy hòa tan") && sentence.contains("3 mg/L"),
        "{sentence}"
    );
    let mut probe = Probe::new("node-01");
    probe
        .say(&sen, &[520, 510, 500, 460, 410, 350, 290, 280])
        .await?;
    let raised = standing(&sen, "firing").await?;
    ensure!(
        raised["node"] == "node-01" && raised["first"] == 2.9,
        "{raised}"
    );
    ensure!(
        raised["level"] == "critical" && raised["plot"] == "binh-ao",
        "{raised}"
    );

    sen.kill9();
    sen.restart().await?;
    ensure!(standing(&sen, "firing").await? == raised, "after kill -9");

    let act = json!({ "subject": raised["subject"], "who": "a farmer" });
    sen.http().post_json("/api/v1/alarms/act", &act).await?;
    sen.kill9();
    sen.restart().await?;
    standing(&sen, "acknowledged").await?;
    let again = sen
        .http()
        .send_json(Method::POST, "/api/v1/alarms/act", &act, None)
        .await?;
    ensure!(again.0 == 409, "taken twice: {again:?}");

    probe.say(&sen, &[290, 320, 340, 360, 400]).await?;
    quiet(&sen).await?;
    let said = told(&sen, "oxygen").await?;
    let states: Vec<&str> = said.iter().map(|(to, _)| to.as_str()).collect();
    ensure!(states == ["firing", "acknowledged", "normal"], "{said:?}");
    Ok(())
}

/// However often it is killed, and wherever: each low of oxygen is one alarm that is raised once and ends once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_at_random_points_say_nothing_twice_and_leave_nothing_out() -> Result<()> {
    let (lows, kills) = if std::env::var_os("SEN_NIGHTLY").is_some() {
        (60, 40)
    } else {
        (10, 7)
    };
    let mut sen = Sen::start(&Setup::new(1)).await?;
    put(&sen, &low_oxygen()).await?;
    let mut probe = Probe::new("node-01");
    let mut dice = Dice::new(0x0A1A_2026);
    let low = [
        520, 480, 430, 370, 290, 280, 270, 280, 290, 340, 390, 440, 490,
    ];
    let all: Vec<i64> = std::iter::repeat_n(low, lows).flatten().collect();
    let mut when: Vec<usize> = (0..kills)
        .map(|_| dice.within(0..all.len() as u64) as usize)
        .collect();
    when.sort_unstable();
    for (n, hundredths) in all.iter().enumerate() {
        probe.says(&sen, *hundredths).await?;
        while when.first() == Some(&n) {
            when.remove(0);
            tokio::time::sleep(Duration::from_millis(dice.within(0..900))).await;
            sen.kill9();
            sen.restart().await?;
        }
    }
    let expected: Vec<(String, i64)> = {
        let first = probe.at - (all.len() as i64 - 1) * 1_000;
        (0..lows as i64)
            .flat_map(|n| {
                let since = first + (n * low.len() as i64 + 4) * 1_000;
                [("firing".to_owned(), since), ("normal".to_owned(), since)]
            })
            .collect()
    };
    wait::until("every low told", LIMIT, || async {
        let said = told(&sen, "oxygen").await?;
        Ok((said.len() >= expected.len()).then_some(()))
    })
    .await?;
    let said = told(&sen, "oxygen").await?;
    ensure!(said == expected, "{said:#?}\n{expected:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_believed_raises_nothing_and_is_kept_with_its_mark() -> Result<()> {
    let sen = Sen::start(&Setup::new(1)).await?;
    put(&sen, &low_oxygen()).await?;
    let mut probe = Probe::new("node-01");
    probe.say(&sen, &[520, 515, -999_900, 510, 512]).await?;
    let from = probe.at - 60_000;
    let path = format!(
        "/api/v1/doubts?node=node-01&channel=dissolved_oxygen&from={from}&to={}",
        probe.at + 1
    );
    let doubts = wait::until("the mark", LIMIT, || async {
        let doubts = sen.http().json(&path).await?;
        Ok((doubts.as_array().is_some_and(|all| !all.is_empty())).then_some(doubts))
    })
    .await?;
    ensure!(doubts[0]["believed"] == false, "{doubts}");
    let marks = doubts[0]["marks"].to_string();
    ensure!(
        marks.contains("sentinel") || marks.contains("range"),
        "{doubts}"
    );
    ensure!(alarms(&sen).await?.is_empty() && told(&sen, "oxygen").await?.is_empty());
    let kept = sen.run(&["journal", "dump"])?;
    ensure!(
        kept.out.contains("-9999"),
        "the value is kept: {}",
        kept.out
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_makes_no_sense_is_refused_with_what_to_do() -> Result<()> {
    let sen = Sen::start(&Setup::new(1)).await?;
    let mut rule = low_oxygen();
    rule["when"] = json!({ "below": { "value": -1.0 } });
    let refused = sen
        .http()
        .send_json(Method::PUT, "/api/v1/rules", &json!({ "rule": rule }), None)
        .await?;
    ensure!(
        refused.0 == 400 && refused.1.to_string().contains("never"),
        "{refused:?}"
    );
    rule["when"] = json!({ "below": { "value": 3.0 } });
    rule["unit"] = json!("Cel");
    let refused = sen
        .http()
        .send_json(Method::PUT, "/api/v1/rules", &json!({ "rule": rule }), None)
        .await?;
    ensure!(
        refused.0 == 400 && refused.1.to_string().contains("mg/L"),
        "{refused:?}"
    );
    ensure!(sen.http().json("/api/v1/rules").await? == json!([]));

    // Two people change one rule: the second is told, and nothing of the first's is lost.
    put(&sen, &low_oxygen()).await?;
    let mut mine = low_oxygen();
    mine["when"]["below"]["value"] = json!(3.2);
    let body = json!({ "rule": mine, "base_version": 1 });
    let done = sen
        .http()
        .send_json(Method::PUT, "/api/v1/rules", &body, None)
        .await?;
    ensure!(done.0 == 200, "{done:?}");
    let late = sen
        .http()
        .send_json(Method::PUT, "/api/v1/rules", &body, None)
        .await?;
    ensure!(late.0 == 409, "{late:?}");
    let versions = sen.http().json("/api/v1/rules/oxygen").await?;
    ensure!(versions.as_array().map(Vec::len) == Some(2), "{versions}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crop_brings_its_thresholds_and_a_rule_is_tried_on_what_was() -> Result<()> {
    let sen = Sen::start(&Setup::new(1)).await?;
    let mut probe = Probe::new("node-01");
    let lows = [
        520, 480, 430, 370, 290, 280, 270, 280, 290, 340, 390, 440, 490,
    ];
    probe.say(&sen, &[lows, lows].concat()).await?;
    let tried = wait::until("a rehearsal with readings", LIMIT, || async {
        let tried = sen
            .http()
            .post_json("/api/v1/rules/try", &json!({ "rule": low_oxygen() }))
            .await?;
        Ok((tried["rehearsal"]["summary"]["readings"] == 26).then_some(tried))
    })
    .await?;
    ensure!(tried["rehearsal"]["summary"]["messages"] == 2, "{tried}");
    ensure!(told(&sen, "oxygen").await?.is_empty(), "only tried");

    let presets = sen.http().json("/api/v1/presets").await?;
    let first = &presets[0];
    ensure!(first["shipped"] == true, "{first}");
    let id = first["preset"]["id"].as_str().context("id")?;
    let put = sen
        .http()
        .send_json(
            Method::PUT,
            "/api/v1/plots/binh-ao/preset",
            &json!({ "preset": id, "sown": "2026-11-01" }),
            None,
        )
        .await?;
    let rules = first["preset"]["rules"].as_array().context("rules")?.len();
    ensure!(
        put.0 == 200 && put.1.as_array().map(Vec::len) == Some(rules),
        "{put:?}"
    );
    let kept = sen.http().json("/api/v1/rules").await?;
    ensure!(kept.as_array().map(Vec::len) == Some(rules), "{kept}");
    Ok(())
}
