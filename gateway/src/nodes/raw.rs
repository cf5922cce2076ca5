//! What a probe gave, worked back from what its node made of it. Nodes send calibrated values only; whoever calibrates anew
//! needs the raw one. The node's own function is turned round by halving, so the two can't drift apart.

use sen_node::calibration::apply;
use sen_wire::{Calibration, Curve, Decimal};

/// Raw values are looked for between these, to three places.
const RAW: (i64, i64) = (-10_000_000_000, 10_000_000_000);
const MILLI: i8 = -3;
/// How far the value of the raw value found may be from the one given: a part of it, or so much.
const NEAR: (f64, f64) = (0.002, 0.002);

/// The raw value that `calibration` makes `value` of, to three places; `None` if there is none near.
#[must_use]
pub fn raw(calibration: &Calibration, value: f64, temperature: Option<Decimal>) -> Option<f64> {
    let first = calibration.points.first()?;
    let rises = match (calibration.curve, calibration.points.get(1)) {
        // Two points of these are two scales or two temperatures, not two ends of a line.
        (Curve::Conductivity | Curve::Oxygen, _) | (_, None) => true,
        (_, Some(second)) => (second.raw > first.raw) == (second.value > first.value),
    };
    let middle = first.raw.floor_at(MILLI)?;
    let made = |at: i64| apply(calibration, Decimal::new(at, MILLI), temperature).ok();
    // Beyond what the quantity can be there is no value, but it is known on which side that lies.
    let above = |at: i64| match made(at) {
        Some(v) if rises => v.to_f64() >= value,
        Some(v) => v.to_f64() <= value,
        None => at > middle,
    };
    let (mut low, mut high) = RAW;
    while high - low > 1 {
        let half = low + (high - low) / 2;
        if above(half) {
            high = half;
        } else {
            low = half;
        }
    }
    let off = |at: i64| made(at).map(|v| (v.to_f64() - value).abs());
    [low, high]
        .into_iter()
        .filter_map(|at| Some((at, off(at)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, off)| *off <= NEAR.1.max(value.abs() * NEAR.0))
        .map(|(at, _)| Decimal::new(at, MILLI).to_f64())
}

#[cfg(test)]
mod tests {
    use sen_wire::calibration::{Point, Points};
    use sen_wire::{Channel, Quantity};

    use super::*;

    fn calibration(quantity: Quantity, curve: Curve, points: &[(&str, &str)]) -> Calibration {
        let points: Points = points
            .iter()
            .map(|(raw, value)| Point {
                raw: raw.parse().unwrap(),
                value: value.parse().unwrap(),
                temperature: Some(Decimal::from(25)),
            })
            .collect();
        let made = Calibration {
            channel: Channel::first(quantity),
            curve,
            version: 1,
            at_ms: 0,
            points,
        };
        made.check().unwrap();
        made
    }

    #[test]
    fn finds_the_raw_value_again_that_the_node_had() {
        let warm = Some("28.4".parse().unwrap());
        for (made, raws) in [
            (
                calibration(Quantity::Ph, Curve::Ph, &[("1500", "7"), ("2032.44", "4")]),
                &["1203.5", "1500", "1800.25", "2100"][..],
            ),
            (
                calibration(
                    Quantity::WaterLevel,
                    Curve::Linear,
                    &[("400", "0"), ("1200", "200")],
                ),
                &["400", "733.2", "1199"],
            ),
            (
                calibration(
                    Quantity::WaterTemperature,
                    Curve::Offset,
                    &[("25.2", "24.9")],
                ),
                &["18.25", "31"],
            ),
            (
                Calibration::factory(Channel::first(Quantity::Conductivity)).unwrap(),
                &["100", "390", "820"],
            ),
            (
                Calibration::factory(Channel::first(Quantity::DissolvedOxygen)).unwrap(),
                &["400", "1500"],
            ),
            (
                calibration(
                    Quantity::SoilMoisture,
                    Curve::Capacitive,
                    &[("2800", "3"), ("1400", "45")],
                ),
                &["1500", "2000", "2700"],
            ),
        ] {
            for given in raws {
                let given: Decimal = given.parse().unwrap();
                let value = apply(&made, given, warm).unwrap().to_f64();
                let found = raw(&made, value, warm).unwrap();
                let off = (found - given.to_f64()).abs();
                // What is lost is the rounding of the value that was sent.
                assert!(
                    off <= 0.002 * given.to_f64().abs(),
                    "{made:?}: {given} {value} {found}"
                );
            }
        }
    }

    #[test]
    fn says_nothing_of_values_that_the_curve_can_not_make() {
        let made = calibration(Quantity::Ph, Curve::Ph, &[("1500", "7"), ("2032.44", "4")]);
        for value in [-5.0, 99.0, f64::NAN] {
            assert_eq!(raw(&made, value, None), None, "{value}");
        }
    }
}
