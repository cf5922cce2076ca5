//! The company a reading keeps: a node whose probes give nonsense is not believed in the rest.
//!
//! Water in the housing or a sagging supply spoils all probes of a node, and not each of them into something impossible: of an
//! estuary's instrument that failed, the temperature read -10 and 50 °C and the salinity 324 ‰, but the pH a quiet 6.9. So while
//! at least [`CROWD`] channels of a node, and a third of those it has, were impossible or stuck within the last hour, its other
//! readings are not believed either.

use std::collections::BTreeMap;

use sen_wire::Channel;
use serde::{Deserialize, Serialize};

use super::{Belief, Judged};
use crate::Millis;

/// So many channels at least must have failed.
pub const CROWD: usize = 2;
/// For how long a failure speaks against the others.
pub const WHILE: Millis = 3_600_000;

/// The channels of one node: when each was heard and when each failed last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Company {
    /// By the channel's stored number.
    channels: BTreeMap<u16, Times>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Times {
    heard: Millis,
    failed: Option<Millis>,
}

impl Company {
    /// Looks at what was said of a reading, and takes the belief away where its company is bad.
    pub fn take(&mut self, channel: Channel, judged: &mut Judged) {
        let number = channel.to_u16();
        let times = self.channels.entry(number).or_insert(Times {
            heard: judged.at,
            failed: None,
        });
        times.heard = times.heard.max(judged.at);
        if judged.marks.sentinel || judged.marks.range || judged.marks.stuck {
            times.failed = Some(times.failed.map_or(judged.at, |at| at.max(judged.at)));
            return;
        }
        if judged.belief == Belief::Believed && self.is_bad(number, judged.at) {
            judged.belief = Belief::Rejected;
            judged.marks.company = true;
        }
    }

    fn is_bad(&self, but: u16, at: Millis) -> bool {
        let near = |then: Millis| (at.saturating_sub(then)).abs() <= WHILE;
        let failed = self
            .channels
            .iter()
            .filter(|(number, times)| **number != but && times.failed.is_some_and(near))
            .count();
        let present = self.channels.values().filter(|times| near(times.heard));
        failed >= CROWD && failed * 3 >= present.count()
    }
}

#[cfg(test)]
mod tests {
    use sen_wire::Quantity;

    use super::super::Judge;
    use super::*;

    /// One sweep of a node: temperature, salinity, pH.
    fn sweep(n: i64, values: [f64; 3], judges: &mut [Judge; 3], company: &mut Company) -> Belief {
        let quantities = [Quantity::WaterTemperature, Quantity::Salinity, Quantity::Ph];
        let mut ph = Belief::Withheld;
        for ((quantity, value), judge) in quantities.into_iter().zip(values).zip(judges) {
            let mut said = Vec::new();
            judge.take(quantity, n * 900_000, value, &mut said);
            for mut judged in said {
                company.take(quantity.into(), &mut judged);
                ph = judged.belief;
            }
        }
        ph
    }

    #[test]
    fn a_quiet_probe_beside_two_that_fail_is_not_believed_until_an_hour_after() {
        let mut judges = [Judge::default(), Judge::default(), Judge::default()];
        let mut company = Company::default();
        let mut walk = |n, values| sweep(n, values, &mut judges, &mut company);
        assert_eq!(walk(0, [18.7, 21.1, 7.8]), Belief::Believed);
        // One failing probe says nothing of the others.
        assert_eq!(walk(1, [50.0, 21.2, 7.8]), Belief::Believed);
        assert_eq!(walk(2, [-10.0, 324.4, 6.9]), Belief::Rejected);
        for n in 3..=6 {
            assert_eq!(walk(n, [18.7, 21.0, 7.8]), Belief::Rejected, "{n}");
        }
        assert_eq!(walk(7, [18.7, 21.0, 7.8]), Belief::Believed);
    }
}
