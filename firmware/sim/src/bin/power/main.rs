//! `power`: what a day of a node costs on the air and from its battery, for each way to send. A real [`Node`] lives through
//! the day on virtual time; every MQTT packet is encoded and counted, with TLS, TCP and IP around it.
#![forbid(unsafe_code)]

mod day;
mod meter;

use sen_wire::NodeConfig;

use self::{day::Day, meter::Meter};

/// A way to send.
struct Plan {
    name: &'static str,
    send_every_s: u32,
    listen_s: Option<u16>,
}

const PLANS: [Plan; 5] = [
    plan("each sweep at once, always connected", 0, None),
    plan("each sweep at once", 0, Some(10)),
    plan("hourly", 3_600, Some(10)),
    plan("4-hourly", 14_400, Some(10)),
    plan("daily", 86_400, Some(10)),
];

const fn plan(name: &'static str, send_every_s: u32, listen_s: Option<u16>) -> Plan {
    Plan {
        name,
        send_every_s,
        listen_s,
    }
}

/// What a board draws, in milliamperes, and how long its link takes to come up. See `docs/power.md` for the sources.
struct Board {
    name: &'static str,
    asleep: f64,
    sampling: f64,
    link: f64,
    link_start_s: f64,
}

const BOARDS: [Board; 3] = [
    Board {
        name: "ESP32-C3, Wi-Fi",
        asleep: 0.13,
        sampling: 20.0,
        link: 84.0,
        link_start_s: 3.0,
    },
    Board {
        name: "STM32L4, 4G modem (switched off between)",
        asleep: 0.01,
        sampling: 5.0,
        link: 150.0,
        link_start_s: 15.0,
    },
    Board {
        name: "STM32L4, W5500 (switched off between)",
        asleep: 0.01,
        sampling: 5.0,
        link: 140.0,
        link_start_s: 2.0,
    },
];

/// A sweep of six probes, one of them a DS18B20 with its 750 ms.
const SWEEP_S: f64 = 1.0;
/// Of a cell of 3000 mAh, what is to be had through heat and age.
const BATTERY_MAH: f64 = 2_400.0;
const DAY_S: f64 = 86_400.0;

fn main() -> anyhow::Result<()> {
    println!("6 channels every 15 minutes, a day:\n");
    println!("sent | connections | bytes up | bytes down | of them payload | link up");
    println!("--- | --- | --- | --- | --- | ---");
    let mut days: Vec<(&Plan, Meter)> = Vec::new();
    for plan in &PLANS {
        let config = NodeConfig {
            version: 1,
            send_every_s: plan.send_every_s,
            listen_s: plan.listen_s,
            ..NodeConfig::default()
        };
        let meter = Day::new(config)?.live()?;
        println!(
            "{} | {} | {} | {} | {} | {}",
            plan.name,
            meter.connections,
            meter.up,
            meter.down,
            meter.payload,
            minutes(meter.link_up_ms as f64 / 1_000.0)
        );
        days.push((plan, meter));
    }
    for board in &BOARDS {
        println!("\n{}:\n", board.name);
        println!("sent | awake a day | mAh a day | days from {BATTERY_MAH:.0} mAh");
        println!("--- | --- | --- | ---");
        for (plan, meter) in &days {
            let link_s = (meter.link_up_ms as f64 / 1_000.0
                + board.link_start_s * f64::from(meter.connections))
            .min(DAY_S);
            let sampling_s = SWEEP_S * f64::from(meter.sweeps);
            let mah = (board.asleep * (DAY_S - link_s).max(0.0)
                + board.sampling * sampling_s
                + board.link * link_s)
                / 3_600.0;
            println!(
                "{} | {} | {mah:.1} | {:.0}",
                plan.name,
                minutes(link_s + sampling_s),
                BATTERY_MAH / mah
            );
        }
    }
    Ok(())
}

fn minutes(seconds: f64) -> String {
    format!("{:.1} min", seconds / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_the_connections_that_its_plan_says_and_all_its_sweeps() {
        let mut last = u64::MAX;
        for (plan, connections) in PLANS.iter().zip([0, 96, 24, 6, 1]) {
            let config = NodeConfig {
                version: 1,
                send_every_s: plan.send_every_s,
                listen_s: plan.listen_s,
                ..NodeConfig::default()
            };
            let meter = Day::new(config).and_then(Day::live).expect("a day");
            assert_eq!(
                (meter.connections, meter.sweeps),
                (connections, 96),
                "{}",
                plan.name
            );
            let bytes = meter.up + meter.down;
            assert!(bytes < last, "{}: {bytes}", plan.name);
            last = bytes;
        }
    }
}
