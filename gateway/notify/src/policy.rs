//! Who is told of which alarm, in what order and at what cost. Data, as JSON; [`Book::check`] names every fault at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::alarm::{Alarm, Level};
use crate::calendar::Offset;
use crate::person::{Kind, Person, PersonId};

/// Which alarms a policy is for. What is not given fits all; a policy that says more goes before one that says less.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// A cooperative.
    pub coop: Option<String>,
    /// A farm.
    pub farm: Option<String>,
    /// A group of places.
    pub group: Option<String>,
    /// A rule.
    pub rule: Option<String>,
    /// Only alarms of this level or above.
    pub least: Option<Level>,
}

impl Scope {
    fn fits(&self, a: &Alarm) -> bool {
        let same = |want: &Option<String>, is: &str| want.as_deref().is_none_or(|w| w == is);
        same(&self.coop, &a.coop)
            && same(&self.farm, &a.farm)
            && self.group.as_ref().is_none_or(|g| a.groups.contains(g))
            && same(&self.rule, &a.rule)
            && self.least.is_none_or(|l| a.level >= l)
    }

    /// A rule says more than a group, that more than a farm, that more than a cooperative.
    fn weight(&self) -> u8 {
        u8::from(self.rule.is_some()) << 4
            | u8::from(self.group.is_some()) << 3
            | u8::from(self.farm.is_some()) << 2
            | u8::from(self.coop.is_some()) << 1
            | u8::from(self.least.is_some())
    }
}

/// People who are told together, and how long they have before the next ones are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who.
    pub people: Vec<PersonId>,
    /// Seconds for one of them to acknowledge, from when the first of them was told.
    pub wait_s: u32,
}

/// What happens to a burst. Critical alarms are never held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Digest {
    /// How long what is held back gathers before it goes out as one message; seconds.
    pub window_s: u32,
    /// The most messages that a person gets within any hour; 1 or more. The last one of them is kept for the digest.
    pub max_per_hour: u16,
}

impl Default for Digest {
    fn default() -> Self {
        Self {
            window_s: 600,
            max_per_hour: 6,
        }
    }
}

/// How alarms of a scope are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Unique.
    pub id: String,
    /// Who set it: sees what goes wrong with it.
    pub set_by: PersonId,
    /// Which alarms.
    #[serde(default)]
    pub scope: Scope,
    /// Escalation: the first step at once, the next when nobody has acknowledged.
    pub steps: Vec<Step>,
    /// Seconds without a receipt before a person is tried over their next channel.
    #[serde(default = "default_receipt_s")]
    pub receipt_s: u32,
    /// Also say when it is over, to those who were told.
    #[serde(default)]
    pub say_when_over: bool,
    /// Bursts.
    #[serde(default)]
    pub digest: Digest,
    /// How long delivery over one channel is tried; seconds. A channel that is away for a day costs no message.
    #[serde(default = "default_give_up_s")]
    pub give_up_s: u32,
}

fn default_receipt_s() -> u32 {
    180
}

fn default_give_up_s() -> u32 {
    48 * 3600
}

/// What a cooperative spends in a calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// đồng a month.
    pub monthly_vnd: u64,
    /// Critical alarms are sent, and counted, even when it is spent: a pond of dead shrimp costs more than any SMS. Choosing
    /// otherwise is choosing that an alarm may reach nobody.
    #[serde(default = "yes")]
    pub critical_passes: bool,
}

fn yes() -> bool {
    true
}

/// The price of one message (of one part, for SMS) over each channel; what is not named is free. In đồng.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices(pub BTreeMap<Kind, u32>);

impl Default for Prices {
    /// Upper ends of what was found in 2026: ZNS 200 to 300, brand-name SMS 500 to 700, SMS from a prepaid card about 350.
    fn default() -> Self {
        Self(BTreeMap::from([
            (Kind::Zalo, 300),
            (Kind::Esms, 700),
            (Kind::Modem, 350),
        ]))
    }
}

/// All that the plan needs to know beside the alarms themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Book {
    /// Where the farm's clock stands.
    pub offset: Offset,
    /// Everybody, by id.
    pub people: BTreeMap<PersonId, Person>,
    /// All policies; the order does not matter.
    pub policies: Vec<Policy>,
    /// By cooperative; without one nothing is limited.
    pub budgets: BTreeMap<String, Budget>,
    /// Of one message.
    pub prices: Prices,
    /// The channels that this gateway has. No other is planned with.
    pub channels: BTreeSet<Kind>,
    /// SMS with diacritics: 67 to 70 characters a part instead of 153 to 160, so two to three times the price.
    pub sms_diacritics: bool,
}

/// One fault of a [`Book`], with where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct Fault {
    /// `policies.pond.steps[0]`.
    pub at: String,
    /// In words.
    pub what: String,
}

impl Book {
    /// The policy for an alarm: of those that fit the one that says most; of equals the first by id.
    #[must_use]
    pub fn policy(&self, alarm: &Alarm) -> Option<&Policy> {
        self.policies
            .iter()
            .filter(|p| p.scope.fits(alarm))
            .max_by(|a, b| {
                a.scope
                    .weight()
                    .cmp(&b.scope.weight())
                    .then_with(|| b.id.cmp(&a.id))
            })
    }

    /// All that is wrong with it.
    #[must_use]
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |at: String, what: String| faults.push(Fault { at, what });
        for (id, p) in &self.people {
            if *id != p.id {
                fault(
                    format!("people.{id}"),
                    format!("is filed under another id than its own, {}", p.id),
                );
            }
            for (n, c) in p.contacts.iter().enumerate() {
                if c.channel.takes_phone()
                    && let Err(e) = crate::phone::Phone::parse(&c.address)
                {
                    fault(format!("people.{id}.contacts[{n}]"), e.to_string());
                }
            }
        }
        let mut seen = BTreeSet::new();
        for p in &self.policies {
            let at = format!("policies.{}", p.id);
            if !seen.insert(&p.id) {
                fault(at.clone(), "there are two of this id".into());
            }
            if p.steps.is_empty() {
                fault(at.clone(), "has no steps: nobody is told".into());
            }
            if p.digest.max_per_hour == 0 {
                fault(
                    format!("{at}.digest"),
                    "max_per_hour is 0: nobody would be told anything but what is critical".into(),
                );
            }
            for (n, s) in p.steps.iter().enumerate() {
                if s.people.is_empty() {
                    fault(format!("{at}.steps[{n}]"), "names nobody".into());
                }
                for person in &s.people {
                    match self.people.get(person) {
                        None => fault(
                            format!("{at}.steps[{n}]"),
                            format!("there is no person {person}"),
                        ),
                        Some(who)
                            if !who
                                .contacts
                                .iter()
                                .any(|c| c.verified && self.channels.contains(&c.channel)) =>
                        {
                            fault(
                                format!("{at}.steps[{n}]"),
                                format!(
                                    "{person} has no verified contact over a channel of this gateway"
                                ),
                            );
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{alarm, book};

    #[test]
    fn the_policy_that_says_most_goes_first() {
        let mut b = book();
        let add = |b: &mut Book, id: &str, scope: Scope| {
            let p = Policy {
                id: id.into(),
                scope,
                ..b.policies[0].clone()
            };
            b.policies.push(p);
        };
        add(
            &mut b,
            "rule",
            Scope {
                rule: Some("do-low".into()),
                ..Scope::default()
            },
        );
        add(
            &mut b,
            "farm",
            Scope {
                farm: Some("f1".into()),
                ..Scope::default()
            },
        );
        add(
            &mut b,
            "critical",
            Scope {
                farm: Some("f1".into()),
                least: Some(Level::Critical),
                ..Scope::default()
            },
        );
        add(
            &mut b,
            "other",
            Scope {
                group: Some("ponds".into()),
                ..Scope::default()
            },
        );
        let mut a = alarm("a", Level::Critical);
        assert_eq!(b.policy(&a).unwrap().id, "rule");
        a.rule = "else".into();
        assert_eq!(b.policy(&a).unwrap().id, "critical");
        a.level = Level::Warning;
        assert_eq!(b.policy(&a).unwrap().id, "farm");
        a.farm = "f2".into();
        assert_eq!(b.policy(&a).unwrap().id, "all");
        a.groups = vec!["ponds".into()];
        assert_eq!(b.policy(&a).unwrap().id, "other");
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let mut b = book();
        assert_eq!(b.check(), []);
        b.policies[0].steps[0].people.push("nobody".into());
        b.policies[0].digest.max_per_hour = 0;
        b.people.get_mut("an").unwrap().contacts[0].verified = false;
        b.people.get_mut("an").unwrap().contacts.truncate(1);
        assert_eq!(b.check().len(), 3, "{:?}", b.check());
        b.policies.push(b.policies[0].clone());
        assert!(b.check().iter().any(|f| f.what.contains("two of this id")));
    }

    #[test]
    fn a_policy_reads_from_json_with_its_defaults_and_refuses_what_it_does_not_know() {
        let json = r#"{"id":"p","set_by":"an","steps":[{"people":["an"],"wait_s":300}]}"#;
        let p: Policy = serde_json::from_str(json).unwrap();
        assert_eq!(
            (p.receipt_s, p.say_when_over, p.digest),
            (180, false, Digest::default())
        );
        assert!(serde_json::from_str::<Policy>(&json.replace("steps", "step")).is_err());
        assert!(
            serde_json::from_str::<Budget>(r#"{"monthly_vnd":1}"#)
                .unwrap()
                .critical_passes
        );
    }
}
