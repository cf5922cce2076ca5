//! What the rules cost: `cargo bench -p sen-alerts`.
//!
//! - live: 10 000 rules on 10 000 channels of 2 500 nodes, and one about silence on each node; 5 000 readings a second for
//!   ten minutes, a tick each second. The time is CPU time of this process, so a busy machine does not change it much.
//! - rehearsal: one rule over a year of readings each 15 minutes, of 100 channels.
//!
//! Fails if the goals are missed: a tenth of a core, and two seconds.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sen_alerts::calendar::Zone;
use sen_alerts::engine::{Engine, Series};
use sen_alerts::replay::{Summary, rehearse};
use sen_alerts::watch::Said;
use sen_alerts::{Millis, Rule};
use sen_wire::Channel;

const START: Millis = 1_767_200_400_000;
const NODES: u32 = 2_500;
const RULES: [(&str, &str); 4] = [
    (
        "dissolved_oxygen",
        r#""when":{"below":{"value":3,"clears_at":3.5}},"for_s":900,"active":{"hours":{"from":"22:00","to":"07:00"}}"#,
    ),
    (
        "salinity",
        r#""when":{"above":{"value":4,"clears_at":3.5}},"for_s":1800"#,
    ),
    ("ph", r#""when":{"swings":{"by":0.5}}"#),
    (
        "water_temperature",
        r#""when":{"falls":{"by":3,"within_s":21600}}"#,
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let core = live()?;
    let rehearsed = rehearsal()?;
    if core > 0.10 || rehearsed > Duration::from_secs(2) {
        return Err("a goal is missed".into());
    }
    Ok(())
}

fn live() -> Result<f64, Box<dyn Error>> {
    const SECONDS: i64 = 600;
    const A_SECOND: u32 = 5_000;
    let before = resident()?;
    let rules = [rule(0)?, rule(1)?, rule(2)?, rule(3)?];
    let silent: Arc<Rule> = serde_json::from_str::<Rule>(
        r#"{"id":"silent","level":"warning","over":"all","when":{"silent":{"after_s":7200}}}"#,
    )?
    .into();
    let mut engine = Engine::new(Zone::VIETNAM, START);
    let mut spread = Vec::new();
    for node in 0..NODES {
        engine.node(node, &format!("farm-{}", node / 25), 1_200_000, START);
        spread.push((node, silent.clone()));
        // A rule of its own for each channel: 10 000, not four.
        for rule in &rules {
            let mut rule = Rule::clone(rule);
            rule.id = format!("{}-{node}", rule.id);
            spread.push((node, Arc::new(rule)));
        }
    }
    let mut out = Vec::new();
    engine.rules(&spread, START, &mut out);

    let mut dice = Dice(7);
    let mut changes = 0;
    let begun = cpu();
    let mut next = 0u32;
    for second in 0..SECONDS {
        let now = START + second * 1000;
        for _ in 0..A_SECOND {
            let (node, which) = (next / 4 % NODES, next % 4);
            next = next.wrapping_add(1);
            let channel = channel(which)?;
            let said = Said::Value(value(which, now, &mut dice));
            engine.reading(Series { node, channel }, now - 300, said, now, &mut out);
        }
        engine.tick(now, &mut out);
        changes += out.len();
        out.clear();
    }
    let spent = cpu() - begun;
    let core = spent.as_secs_f64() / SECONDS as f64;
    let grown = resident()? - before;
    println!(
        "live: {} rules, {A_SECOND} readings/s for {SECONDS} s: {:.2} % of one core, {:.0} ns a reading, {grown} KiB, {changes} changes",
        spread.len(),
        core * 100.0,
        spent.as_nanos() as f64 / (SECONDS as f64 * f64::from(A_SECOND)),
    );
    let begun = cpu();
    let snapshot = serde_json::to_vec(&engine.snapshot())?;
    println!(
        "snapshot: {} KiB of JSON in {:?}",
        snapshot.len() / 1024,
        cpu() - begun
    );
    Ok(core)
}

fn rehearsal() -> Result<Duration, Box<dyn Error>> {
    const CHANNELS: u32 = 100;
    const A_YEAR: i64 = 365 * 96;
    let mut sum = Summary::default();
    let begun = cpu();
    for n in 0..CHANNELS {
        let which = n % 4;
        let mut dice = Dice(u64::from(n) + 1);
        let readings = (0..A_YEAR).map(|quarter| {
            let at = START + quarter * 900_000;
            (at, Said::Value(value(which, at, &mut dice)))
        });
        sum = sum + rehearse(&*rule(which)?, readings, Zone::VIETNAM).summary();
    }
    let spent = cpu() - begun;
    println!(
        "rehearsal: a year of {CHANNELS} channels, {} readings: {spent:.2?}, {} messages, {} at night",
        sum.readings, sum.messages, sum.at_night
    );
    Ok(spent)
}

fn rule(which: u32) -> Result<Arc<Rule>, Box<dyn Error>> {
    let (channel, rest) = RULES.get(which as usize).ok_or("no such rule")?;
    let json = format!(
        r#"{{"id":"{channel}","level":"warning","over":"all","channel":"{channel}",{rest}}}"#
    );
    Ok(Arc::new(serde_json::from_str(&json)?))
}

fn channel(which: u32) -> Result<Channel, Box<dyn Error>> {
    let (channel, _) = RULES.get(which as usize).ok_or("no such rule")?;
    Ok(channel.parse()?)
}

/// A day's curve with some noise, so that alarms come and go.
fn value(which: u32, at: Millis, dice: &mut Dice) -> f64 {
    let day = (at % 86_400_000) as f64 / 86_400_000.0;
    let wave = (day * std::f64::consts::TAU).sin();
    let (middle, swing) = match which {
        0 => (5.0, 3.0),
        1 => (3.5, 1.0),
        2 => (8.0, 0.3),
        _ => (29.0, 2.0),
    };
    ((middle + swing * wave + 0.2 * dice.throw()) * 100.0).round() / 100.0
}

/// Pseudo-random numbers between 0 and 1: the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Resident memory of this process, KiB.
fn resident() -> Result<i64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}
