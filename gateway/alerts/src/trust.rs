//! How far a channel is to be trusted: a figure from 0 to 100 with the reasons for what is missing.
//!
//! It is a sum of deductions, so that each reason says what it costs; nothing in it is fitted. It looks at the last fourteen
//! days, and at the calendar:
//!
//! | deduction | how much | why |
//! |---|---|---|
//! | readings that did not arrive | 40 × the missing share | what is not there can't warn |
//! | readings not believed | 150 × their share, 50 at most | one in three rejected: half of the trust is gone |
//! | a fault within the last day | 15 | what has just failed may fail again |
//! | steps of the level | 5 each, 15 at most | calibrated, moved or cleaned: the series is not one |
//! | days since calibration | up to 40, straight from half of the quantity's interval to twice of it | drift and fouling can't be seen in the readings themselves |
//! | never calibrated, or unknown | 10 | the same, not known |
//! | disagrees with its neighbours | 20 × the share of the comparisons that disagree | where there are neighbours |
//!
//! The intervals: oxygen 28 days (probes in ponds are overgrown within four weeks; Cần Thơ University), pH 30, conductivity
//! and salinity 60, turbidity 30, ammonia 14, soil moisture 180; editable defaults, of which only the first has a source.

use sen_wire::Quantity;
use serde::{Deserialize, Serialize};

/// What is counted of a channel over the last fourteen days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counted {
    /// Readings that should have come by the node's interval.
    pub expected: u32,
    /// Readings that came, believed or not.
    pub received: u32,
    /// Readings not believed, faults that the node reported included.
    pub rejected: u32,
    /// Shifts of the level.
    pub steps: u32,
    /// Seconds since the newest fault or rejected reading.
    pub since_fault_s: Option<u64>,
    /// Days since the newest calibration, if it is known.
    pub since_calibration_days: Option<u32>,
    /// Comparisons with neighbours, and how many of them disagreed.
    pub compared: u32,
    /// See `compared`.
    pub disagreed: u32,
}

/// Why trust is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Nothing came at all.
    Nothing,
    /// Readings did not arrive.
    Missing,
    /// Readings were not believed.
    Rejected,
    /// A fault within the last day.
    RecentFault,
    /// The level shifted.
    Steps,
    /// The calibration is old.
    OldCalibration,
    /// It is not known when it was calibrated.
    UnknownCalibration,
    /// It disagrees with its neighbours.
    Neighbours,
}

/// A figure and its reasons, the costliest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trust {
    /// 0 to 100.
    pub figure: u8,
    /// Reason and points deducted; less than half a point is no reason.
    pub lacks: Vec<(Lack, u8)>,
}

/// Days after which a quantity's probe should be calibrated; `None` for those that need none.
#[must_use]
pub fn calibration_interval_days(quantity: Quantity) -> Option<u32> {
    use Quantity as Q;
    match quantity {
        Q::DissolvedOxygen | Q::OxygenSaturation => Some(28),
        Q::Ph | Q::Turbidity => Some(30),
        Q::Conductivity | Q::Salinity | Q::SoilConductivity => Some(60),
        Q::Ammonia | Q::Alkalinity => Some(14),
        Q::SoilMoisture => Some(180),
        _ => None,
    }
}

/// The trust of a channel.
#[must_use]
pub fn trust(quantity: Quantity, counted: &Counted) -> Trust {
    if counted.received == 0 {
        return Trust {
            figure: 0,
            lacks: vec![(Lack::Nothing, 100)],
        };
    }
    let share = |part: u32, whole: u32| f64::from(part.min(whole)) / f64::from(whole.max(1));
    let missing = counted.expected.saturating_sub(counted.received);
    let mut lacks = vec![
        (Lack::Missing, 40.0 * share(missing, counted.expected)),
        (
            Lack::Rejected,
            (150.0 * share(counted.rejected, counted.received)).min(50.0),
        ),
        (Lack::Steps, (5.0 * f64::from(counted.steps)).min(15.0)),
        (
            Lack::Neighbours,
            20.0 * share(counted.disagreed, counted.compared),
        ),
    ];
    if counted.since_fault_s.is_some_and(|s| s < 86_400) {
        lacks.push((Lack::RecentFault, 15.0));
    }
    if let Some(interval) = calibration_interval_days(quantity) {
        lacks.push(match counted.since_calibration_days {
            Some(days) => {
                let intervals = f64::from(days) / f64::from(interval);
                let late = ((intervals - 0.5) / 1.5).clamp(0.0, 1.0);
                (Lack::OldCalibration, 40.0 * late)
            }
            None => (Lack::UnknownCalibration, 10.0),
        });
    }
    let left = 100.0 - lacks.iter().map(|(_, points)| points).sum::<f64>();
    lacks.retain(|(_, points)| *points >= 0.5);
    lacks.sort_by(|a, b| b.1.total_cmp(&a.1));
    Trust {
        figure: whole(left),
        lacks: lacks.into_iter().map(|(l, p)| (l, whole(p))).collect(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=100 first"
)]
fn whole(points: f64) -> u8 {
    points.round().clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn perfect() -> Counted {
        Counted {
            expected: 1344,
            received: 1344,
            since_calibration_days: Some(3),
            ..Counted::default()
        }
    }

    #[test]
    fn a_fresh_probe_that_says_all_is_trusted() {
        let trust = trust(Quantity::DissolvedOxygen, &perfect());
        assert_eq!((trust.figure, trust.lacks.len()), (100, 0));
    }

    #[test]
    fn an_overgrown_oxygen_probe_is_not() {
        let old = Counted {
            since_calibration_days: Some(56),
            ..perfect()
        };
        assert_eq!(
            trust(Quantity::DissolvedOxygen, &old),
            Trust {
                figure: 60,
                lacks: vec![(Lack::OldCalibration, 40)]
            }
        );
        // A thermometer needs no calibration.
        assert_eq!(trust(Quantity::WaterTemperature, &old).figure, 100);
    }

    #[test]
    fn silence_is_not_trusted_at_all() {
        assert_eq!(trust(Quantity::Ph, &Counted::default()).figure, 0);
    }

    #[test]
    fn the_costliest_reason_comes_first() {
        let bad = Counted {
            received: 1200,
            rejected: 400,
            since_fault_s: Some(60),
            ..perfect()
        };
        let lacks: Vec<Lack> = trust(Quantity::Ph, &bad)
            .lacks
            .iter()
            .map(|l| l.0)
            .collect();
        assert_eq!(lacks, [Lack::Rejected, Lack::RecentFault, Lack::Missing]);
    }

    proptest! {
        /// Nothing that gets worse raises the figure.
        #[test]
        fn worse_is_never_more(
            expected in 1..2000u32, received in 1..2000u32, rejected in 0..2000u32, steps in 0..9u32,
            days in prop::option::of(0..500u32), compared in 0..100u32, disagreed in 0..100u32,
        ) {
            let counted = Counted {
                expected, received, rejected, steps, compared, disagreed,
                since_calibration_days: days, since_fault_s: None,
            };
            let figure = |c: Counted| trust(Quantity::Ph, &c).figure;
            let now = figure(counted);
            prop_assert!(now <= 100);
            prop_assert!(figure(Counted { rejected: rejected + 50, ..counted }) <= now);
            prop_assert!(figure(Counted { steps: steps + 1, ..counted }) <= now);
            prop_assert!(figure(Counted { expected: expected + 50, ..counted }) <= now);
            prop_assert!(figure(Counted { since_fault_s: Some(5), ..counted }) <= now);
            prop_assert!(figure(Counted { since_calibration_days: days.map(|d| d + 9), ..counted }) <= now);
        }
    }
}
