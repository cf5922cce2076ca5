use std::string::ToString;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn channel(text: &str) -> Channel {
    text.parse().expect("a channel")
}

/// Points as `raw:value` or `raw:value@temperature`.
fn calibration(name: &str, curve: Curve, points: &[&str]) -> Calibration {
    let point = |text: &&str| {
        let (point, temperature) = match text.split_once('@') {
            Some((point, temperature)) => (point, Some(decimal(temperature))),
            None => (*text, None),
        };
        let (raw, value) = point.split_once(':').expect("raw:value");
        Point {
            raw: decimal(raw),
            value: decimal(value),
            temperature,
        }
    };
    let calibration = Calibration {
        channel: channel(name),
        curve,
        version: 1,
        at_ms: 0,
        points: points.iter().map(point).collect(),
    };
    assert_eq!(calibration.check(), Ok(()));
    calibration
}

fn at(
    calibration: &Calibration,
    raw: &str,
    temperature: Option<&str>,
) -> Result<std::string::String, Fault> {
    apply(calibration, decimal(raw), temperature.map(decimal)).map(|value| value.to_string())
}

fn ok(text: &str) -> Result<std::string::String, Fault> {
    Ok(text.to_string())
}

#[test]
fn a_line_goes_through_its_points_and_on() {
    let soil = calibration("sm", Curve::Linear, &["2900:0", "1200:100"]);
    assert_eq!(at(&soil, "2900", None), ok("0"));
    assert_eq!(at(&soil, "1200", None), ok("100"));
    assert_eq!(at(&soil, "2050", None), ok("50"));
    assert_eq!(
        at(&soil, "2333.3", None),
        ok("33.335"),
        "33.3353, to three places"
    );
    assert_eq!(at(&soil, "3000", None), Err(Fault::OutOfRange));
}

#[test]
fn an_offset_is_exact() {
    let air = calibration("at", Curve::Offset, &["25.31:25.1"]);
    assert_eq!(at(&air, "18.0625", None), ok("17.8525"));
    assert_eq!(at(&air, "60.2", None), ok("59.99"));
    assert_eq!(at(&air, "1e18", None), Err(Fault::OutOfRange));
}

/// DFRobot_PH.cpp: slope (7 - 4) / ((1500 - 1500) / 3 - (2032.44 - 1500) / 3), here at 25 °C.
#[test]
fn ph_is_dfrobots_line_and_follows_the_temperature() {
    let ph = calibration("ph", Curve::Ph, &["1500:7@25", "2032.44:4@25"]);
    assert_eq!(at(&ph, "1500", Some("25")), ok("7"));
    assert_eq!(at(&ph, "2032.44", Some("25")), ok("4"));
    assert_eq!(at(&ph, "1322.52", Some("25")), ok("8"));
    assert_eq!(
        at(&ph, "1322.52", None),
        ok("8"),
        "without a temperature: as if it were that of the buffers"
    );
    // Nernst: 1 pH off 7 at 25 °C are 298.15 / 308.15 at 35 °C.
    assert_eq!(at(&ph, "1322.52", Some("35")), ok("7.9675"));
    assert_eq!(at(&ph, "1500", Some("35")), ok("7"));
    assert_eq!(at(&ph, "100", Some("25")), Err(Fault::OutOfRange));
}

/// DFRobot_EC.cpp: 1000 mV / 820 / 200 K / (1 + 0.0185 (T - 25)).
#[test]
fn conductivity_is_dfrobots_formula() {
    let one = calibration("ec", Curve::Conductivity, &["164:1@25"]);
    assert_eq!(at(&one, "164", Some("25")), ok("1"));
    assert_eq!(at(&one, "328", Some("25")), ok("2"));
    assert_eq!(at(&one, "328", Some("30")), ok("1.8307"), "2 / 1.0925");
    assert_eq!(at(&one, "0", Some("30")), ok("0"));
    assert_eq!(at(&one, "328", None), Err(Fault::OutOfRange));
    // Calibrated in water of 30 °C, the standard conducts 1.413 x 1.0925.
    let warm = calibration("ec", Curve::Conductivity, &["253.1645:1.413@30"]);
    assert_eq!(at(&warm, "253.1645", Some("30")), ok("1.413"));
    assert_eq!(at(&warm, "253.1645", Some("25")), ok("1.5437"));
    let two = calibration(
        "ec",
        Curve::Conductivity,
        &["2112:12.88@25", "231.7:1.413@25"],
    );
    assert_eq!(at(&two, "231.7", Some("25")), ok("1.413"));
    assert_eq!(at(&two, "2112", Some("25")), ok("12.88"));
    let mut last = 0.0;
    for raw in 0..600 {
        let value = apply(&two, Decimal::from(raw), Some(decimal("25"))).expect("a value");
        let step = value.to_f64() - last;
        assert!((0.0..0.012).contains(&step), "{raw} mV: a step of {step}");
        last = value.to_f64();
    }
}

/// DFRobot SEN0237: mV x table[T] / (CAL_V + 35 (T - CAL_T)).
#[test]
fn oxygen_is_dfrobots_formula() {
    let one = calibration("do", Curve::Oxygen, &["1600:8.25@25"]);
    assert_eq!(at(&one, "1600", Some("25")), ok("8.25"));
    assert_eq!(at(&one, "800", Some("25")), ok("4.125"));
    assert_eq!(
        at(&one, "800", Some("30")),
        ok("3.407"),
        "800 x 7.56 / 1775"
    );
    assert_eq!(at(&one, "-3", Some("30")), ok("0"));
    assert_eq!(
        at(&one, "800", Some("41")),
        Err(Fault::OutOfRange),
        "the table ends"
    );
    let two = calibration("do", Curve::Oxygen, &["1600:8.25@25", "1300:10.08@15"]);
    assert_eq!(at(&two, "1450", Some("20")), ok("9.08"));
    // Beside a hand-held meter in water that is not saturated.
    let half = calibration("do", Curve::Oxygen, &["800:4.125@25"]);
    assert_eq!(at(&half, "1600", Some("25")), ok("8.25"));
}

#[test]
fn soil_lies_on_the_cube_and_ends_at_its_ends() {
    let soil = calibration("sm", Curve::Capacitive, &["800:10", "600:16"]);
    assert_eq!(at(&soil, "800", None), ok("10"));
    assert_eq!(at(&soil, "600", None), ok("16"));
    // 10 + 6 (800^3 - 700^3) / (800^3 - 600^3)
    assert_eq!(at(&soil, "700", None), ok("13.426"));
    assert_eq!(at(&soil, "700.5", None), ok("13.411"));
    assert_eq!(at(&soil, "0", None), ok("20.378"));
    assert_eq!(
        at(&soil, "1010", None),
        ok("0"),
        "-0.5: the end of the scale"
    );
    assert_eq!(at(&soil, "1300", None), Err(Fault::OutOfRange));
    assert_eq!(at(&soil, "1e30", None), Err(Fault::OutOfRange));
    let counts = calibration("sm", Curve::Capacitive, &["65535:0", "30000:50"]);
    assert_eq!(at(&counts, "30000", None), ok("50"));
}

#[test]
fn a_sweep_is_calibrated_together() {
    let config = NodeConfig {
        calibrations: [
            calibration("do", Curve::Oxygen, &["1600:8.25@25"]),
            calibration("wt", Curve::Offset, &["20:25"]),
            calibration("ph2", Curve::Ph, &["1500:7", "2032.44:4"]),
        ]
        .into_iter()
        .collect(),
        ..NodeConfig::default()
    };
    let sweep = |fill: &dyn Fn(&mut Samples)| {
        let mut samples = Samples::default();
        fill(&mut samples);
        let calibrated = samples
            .as_slice()
            .iter()
            .map(|sample| calibrated(&config, &samples, sample));
        calibrated.collect::<std::vec::Vec<_>>()
    };
    let number = |text| Value::Number(decimal(text));
    let oxygen = channel("do");
    let water = channel("wt");
    assert_eq!(
        sweep(&|samples| {
            samples.raw(oxygen, decimal("800"));
            samples.value(water, decimal("25"));
            samples.value(channel("at"), decimal("31.2"));
        }),
        [number("3.407"), number("30"), number("31.2")],
        "with the temperature as calibrated, whatever the order"
    );
    assert_eq!(
        sweep(&|samples| {
            samples.raw(oxygen, decimal("800"));
            samples.fault(water, Fault::Crc);
        }),
        [Value::Fault(Fault::Crc); 2]
    );
    assert_eq!(
        sweep(&|samples| {
            samples.raw(oxygen, decimal("800"));
            samples.raw(channel("sm"), decimal("800"));
            samples.raw(channel("ph2"), decimal("1500"));
            samples.fault(channel("ec"), Fault::Saturated);
        }),
        [
            Value::Fault(Fault::NotCalibrated),
            Value::Fault(Fault::NotCalibrated),
            number("7"),
            Value::Fault(Fault::Saturated),
        ]
    );
}

/// Whatever a probe gives and whatever passes the check: a plausible value or a fault, never a panic.
#[test]
fn any_raw_value_is_a_plausible_value_or_a_fault() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    let mut values = 0;
    for calibration in [
        calibration("sm", Curve::Linear, &["2900:0", "1200:100"]),
        calibration("lx", Curve::Linear, &["-9e12:0", "9e12:200000"]),
        calibration("at", Curve::Offset, &["25.31:25.1"]),
        calibration("ph", Curve::Ph, &["1500:7@25", "2032.44:4@25"]),
        calibration(
            "ec",
            Curve::Conductivity,
            &["2112:12.88@25", "231.7:1.413@25"],
        ),
        calibration("do", Curve::Oxygen, &["1600:8.25@25", "1300:10.08@15"]),
        calibration("sm", Curve::Capacitive, &["65535:0", "1:100"]),
    ] {
        let (low, high) = calibration.channel.quantity().plausible();
        for round in 0..20_000 {
            let any = |bits: u64, usual: i64| match round % 3 {
                0 => Decimal::new(bits as i64, (bits >> 56) as i8),
                1 => Decimal::new(bits as i64, 0),
                _ => Decimal::new(bits as i64 % usual, -1),
            };
            let raw = any(roll(), 40_000);
            let temperature = Some(any(roll(), 400)).filter(|_| round % 5 > 0);
            if let Ok(value) = apply(&calibration, raw, temperature) {
                assert!(
                    (low..=high).contains(&value.to_f64()),
                    "{raw} {temperature:?}: {value}"
                );
                values += 1;
            }
        }
    }
    assert!(values > 10_000, "{values}");
}
