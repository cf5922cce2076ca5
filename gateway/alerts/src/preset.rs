//! "Pick the crop, get thresholds": sets of rules for a crop, with the source of each, and copies that people have changed.
//!
//! The shipped ones are `presets.json`. A preset's rules name neither place nor date: [`Preset::rules`] puts them on a
//! plot. A cooperative's own is a copy that remembers what it was taken from ([`Preset::copy`], [`Preset::differences`]).
//!
//! ```
//! # use sen_alerts::{preset, text::Lang};
//! let durian = preset::find("durian").expect("shipped");
//! let rules = durian.rules("vuon-1", None);
//! assert_eq!(rules[0].sentence(Lang::En), "Warning when salinity on plot vuon-1 is above 0.5 g/L for at least 30 minutes; it ends at 0.4 g/L or below.");
//! ```

use std::sync::LazyLock;

use chrono::NaiveDate;
use sen_wire::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::Problem;
use crate::rule::{Active, Condition, Level, Over, Rule, Stage, channel as channel_name};
use crate::text::Lang;

/// A set of rules for a crop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Unique.
    pub id: String,
    /// Rises with each change.
    pub version: u32,
    /// What its owner calls it; shipped ones are called what [`Preset::title`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<BasedOn>,
    /// The stages that its rules name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<PresetStage>,
    /// Its rules.
    pub rules: Vec<PresetRule>,
}

/// Which preset a copy was taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasedOn {
    /// Its id.
    pub preset: String,
    /// Its version then.
    pub version: u32,
}

/// A stage of the crop, in days after sowing or stocking, the last one included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetStage {
    /// What rules call it.
    pub id: String,
    /// First day.
    pub from_day: u16,
    /// Last day.
    pub to_day: u16,
    /// Where that comes from.
    pub source: String,
    /// Whether it was read there.
    pub verified: bool,
}

/// A rule without place and date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetRule {
    /// Unique within the preset.
    pub id: String,
    /// How much it matters.
    pub level: Level,
    /// What it looks at, unless it is about nodes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "channel_name"
    )]
    pub channel: Option<Channel>,
    /// The unit of its values, if not the canonical one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The condition.
    pub when: Condition,
    /// For how many seconds it must hold.
    #[serde(default)]
    pub for_s: u32,
    /// For how many seconds it must have ended.
    #[serde(default)]
    pub clear_for_s: u32,
    /// When it is awake, but for the stage.
    #[serde(default, skip_serializing_if = "is_always")]
    pub active: Active,
    /// One of the preset's stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Where its limit comes from.
    pub source: String,
    /// Whether it was read there; otherwise from memory, a weak source, or inferred.
    pub verified: bool,
}

fn is_always(active: &Active) -> bool {
    *active == Active::default()
}

/// What is wrong with a preset.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PresetProblem {
    /// A rule would be refused.
    #[error("rule {rule}: {problem}")]
    Rule {
        /// Its id.
        rule: String,
        /// Why.
        problem: Problem,
    },
    /// Two rules or two stages have the same id.
    #[error("{id} is there twice: give one of them another id")]
    Twice {
        /// The id.
        id: String,
    },
    /// A rule names a stage that the preset does not have.
    #[error("rule {rule}: there is no stage {stage}: add it, or choose one of the preset's stages")]
    UnknownStage {
        /// The rule's id.
        rule: String,
        /// The stage.
        stage: String,
    },
}

/// What differs between a copy and what it was taken from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// Only the copy has it.
    Added {
        /// A rule's or a stage's id.
        id: String,
    },
    /// Only the original has it.
    Removed {
        /// A rule's or a stage's id.
        id: String,
    },
    /// Both have it, not the same.
    Changed {
        /// A rule's or a stage's id.
        id: String,
        /// The field, with a point before each inner one: `when.above.value`.
        field: String,
        /// In the original; null: not there.
        from: Value,
        /// In the copy; null: not there.
        to: Value,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "note")]
    _note: String,
    presets: Vec<Preset>,
}

static SHIPPED: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let file: File = serde_json::from_str(include_str!("../presets.json"))
        .expect("a part of this program, and read by its tests");
    file.presets
});

/// The presets that Sen brings.
#[must_use]
pub fn shipped() -> &'static [Preset] {
    &SHIPPED
}

/// One of them.
#[must_use]
pub fn find(id: &str) -> Option<&'static Preset> {
    shipped().iter().find(|preset| preset.id == id)
}

impl Preset {
    /// What people call it.
    #[must_use]
    pub fn title(&self, lang: Lang) -> &str {
        self.name
            .as_deref()
            .or_else(|| lang.words().preset(&self.id))
            .unwrap_or(&self.id)
    }

    /// Its rules on a plot. Without a day of sowing those that have a stage wait for the plot's ([`Rule::on`]).
    ///
    /// Their ids are made of the plot's, the preset's and the rule's: applied again, also in a later version, they replace
    /// themselves and keep their alarms.
    #[must_use]
    pub fn rules(&self, plot: &str, sown: Option<NaiveDate>) -> Vec<Rule> {
        let rule = |rule: &PresetRule| self.rule(rule, plot, sown);
        self.rules.iter().map(rule).collect()
    }

    fn rule(&self, rule: &PresetRule, plot: &str, sown: Option<NaiveDate>) -> Rule {
        let stage = rule.stage.as_ref().and_then(|id| {
            let stage = self.stages.iter().find(|stage| stage.id == *id)?;
            Some(Stage {
                name: Some(id.clone()),
                from_day: stage.from_day,
                to_day: stage.to_day,
                sown,
            })
        });
        let mut active = rule.active.clone();
        active.stage = stage.or(active.stage);
        Rule {
            id: format!("{plot}:{}:{}", self.id, rule.id),
            name: None,
            level: rule.level,
            over: Over::Plot(plot.to_owned()),
            channel: rule.channel,
            unit: rule.unit.clone(),
            when: rule.when.clone(),
            for_s: rule.for_s,
            clear_for_s: rule.clear_for_s,
            active,
        }
    }

    /// Everything that is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Vec<PresetProblem> {
        let mut problems = Vec::new();
        twice(self.rules.iter().map(|rule| &rule.id), &mut problems);
        twice(self.stages.iter().map(|stage| &stage.id), &mut problems);
        for rule in &self.rules {
            if let Some(stage) = &rule.stage
                && !self.stages.iter().any(|known| known.id == *stage)
            {
                problems.push(PresetProblem::UnknownStage {
                    rule: rule.id.clone(),
                    stage: stage.clone(),
                });
            }
            if let Err(refused) = self.rule(rule, "plot", None).checked() {
                problems.extend(refused.into_iter().map(|problem| PresetProblem::Rule {
                    rule: rule.id.clone(),
                    problem,
                }));
            }
        }
        problems
    }

    /// A copy to be changed, of version 1, that remembers where it comes from.
    #[must_use]
    pub fn copy(&self, id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            version: 1,
            name: Some(name.to_owned()),
            based_on: Some(BasedOn {
                preset: self.id.clone(),
                version: self.version,
            }),
            ..self.clone()
        }
    }

    /// The shipped preset that this is a copy of, if there is a newer version of it now.
    #[must_use]
    pub fn newer(&self) -> Option<&'static Self> {
        let based_on = self.based_on.as_ref()?;
        find(&based_on.preset).filter(|shipped| shipped.version > based_on.version)
    }

    /// What differs from the original, rule by rule and field by field: first the stages, then the rules.
    #[must_use]
    pub fn differences(&self, original: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        compare(&original.stages, &self.stages, |s| &s.id, &mut differences);
        compare(&original.rules, &self.rules, |r| &r.id, &mut differences);
        differences
    }
}

fn twice<'a>(ids: impl Iterator<Item = &'a String>, problems: &mut Vec<PresetProblem>) {
    let mut seen = std::collections::HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            problems.push(PresetProblem::Twice { id: id.clone() });
        }
    }
}

fn compare<T: Serialize>(
    original: &[T],
    copy: &[T],
    id: impl Fn(&T) -> &String,
    differences: &mut Vec<Difference>,
) {
    for old in original {
        let id_of_old = id(old);
        match copy.iter().find(|new| id(new) == id_of_old) {
            None => differences.push(Difference::Removed {
                id: id_of_old.clone(),
            }),
            Some(new) => {
                let json = |item: &T| serde_json::to_value(item).unwrap_or_default();
                fields(id_of_old, "", &json(old), &json(new), differences);
            }
        }
    }
    for new in copy {
        if !original.iter().any(|old| id(old) == id(new)) {
            differences.push(Difference::Added {
                id: id(new).clone(),
            });
        }
    }
}

fn fields(id: &str, path: &str, from: &Value, to: &Value, differences: &mut Vec<Difference>) {
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let inner = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let side = |map: &serde_json::Map<_, _>| map.get(key).cloned().unwrap_or_default();
                fields(id, &inner, &side(old), &side(new), differences);
            }
        }
        _ if from == to => {}
        _ => differences.push(Difference::Changed {
            id: id.to_owned(),
            field: path.to_owned(),
            from: from.clone(),
            to: to.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::salinity::from_specific_conductance;

    fn sown() -> Option<NaiveDate> {
        "2026-01-01".parse().ok()
    }

    #[test]
    fn all_that_are_shipped_pass_the_check_on_a_plot() {
        for preset in shipped() {
            assert_eq!(preset.problems(), [], "{}", preset.id);
            for sown in [None, sown()] {
                for rule in preset.rules("ao-1", sown) {
                    let id = rule.id.clone();
                    let checked = rule.checked().unwrap_or_else(|e| panic!("{id}: {e:?}"));
                    assert_eq!(checked.warnings, [], "{id}");
                }
            }
        }
    }

    #[test]
    fn every_threshold_has_a_source() {
        for preset in shipped() {
            let sources = preset.rules.iter().map(|rule| &rule.source);
            let stages = preset.stages.iter().map(|stage| &stage.source);
            assert!(
                sources
                    .chain(stages)
                    .all(|source| !source.trim().is_empty())
            );
        }
    }

    #[test]
    fn presets_and_stages_have_names_in_every_language() {
        for lang in Lang::ALL {
            for preset in shipped() {
                assert_ne!(preset.title(lang), preset.id);
                for stage in &preset.stages {
                    assert!(lang.words().stage(&stage.id).is_some(), "{}", stage.id);
                }
            }
        }
    }

    #[test]
    fn the_day_of_sowing_dates_the_stages_of_rice() {
        let rice = find("rice").unwrap();
        let stage = |sown| {
            let rules = rice.rules("ruong", sown);
            let dry = rules
                .into_iter()
                .find(|rule| rule.id == "ruong:rice:flowering-dry");
            dry.unwrap().active.stage.unwrap()
        };
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let days = Some((date("2026-03-01"), date("2026-03-14")));
        assert_eq!(stage(sown()).days(), days);
        assert_eq!(stage(None).days(), None);
        let later = rice.rules("ruong", None).remove(0).on(sown());
        assert_eq!(later.active.stage.unwrap().sown, sown());
    }

    /// The literature gives conductivities; the limits are what they are in salinity, to a tenth of a gram.
    #[test]
    fn limits_of_salinity_are_those_of_the_conductivity_in_the_source() {
        let rice = find("rice").unwrap();
        for (id, ds_per_m) in [("salinity", 1.9), ("salinity-sensitive-stages", 3.0)] {
            let rule = rice.rules.iter().find(|rule| rule.id == id).unwrap();
            let Condition::Above(limit) = &rule.when else {
                panic!("{id}")
            };
            let salinity = from_specific_conductance(ds_per_m).unwrap();
            assert!((salinity - limit.value).abs() < 0.1, "{id}: {salinity}");
        }
    }

    #[test]
    fn a_copy_remembers_its_original_and_says_what_was_changed() {
        let shrimp = find("whiteleg_shrimp").unwrap();
        let mut own = shrimp.copy("htx-tom", "Tôm của hợp tác xã");
        assert_eq!(own.differences(shrimp), []);
        let based_on = own.based_on.clone().unwrap();
        assert_eq!(
            (based_on.preset.as_str(), based_on.version),
            ("whiteleg_shrimp", 1)
        );
        assert_eq!(own.title(Lang::En), "Tôm của hợp tác xã");
        assert_eq!(own.newer(), None);
        own.based_on.as_mut().unwrap().version = 0;
        assert_eq!(own.newer(), Some(shrimp));

        own.rules[0].when = serde_json::from_value(json!({"below": {"value": 4.5}})).unwrap();
        own.rules[1].for_s = 0;
        let removed = own.rules.pop().unwrap();
        let mut added = own.rules[0].clone();
        added.id = "own".into();
        own.rules.push(added);
        let changed = |id: &str, field: &str, from: Value, to: Value| Difference::Changed {
            id: id.into(),
            field: field.into(),
            from,
            to,
        };
        assert_eq!(
            own.differences(shrimp),
            [
                changed(
                    "oxygen-low",
                    "when.below.clears_at",
                    json!(4.5),
                    json!(null)
                ),
                changed("oxygen-low", "when.below.value", json!(4.0), json!(4.5)),
                changed("oxygen-critical", "for_s", json!(900), json!(0)),
                Difference::Removed { id: removed.id },
                Difference::Added { id: "own".into() },
            ]
        );
        let read: Preset = serde_json::from_str(&serde_json::to_string(&own).unwrap()).unwrap();
        assert_eq!(read, own);
    }

    #[test]
    fn a_copy_that_makes_no_sense_is_told_so() {
        let mut own = find("rice").unwrap().copy("own", "Own");
        own.rules[1].id = own.rules[0].id.clone();
        own.rules[2].stage = Some("harvest".into());
        own.rules[3].for_s = 0;
        own.rules[3].when = serde_json::from_value(json!({"above": {"value": 99}})).unwrap();
        let said: Vec<String> = own.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "awd-reflood is there twice: give one of them another id",
                "rule salinity: there is no stage harvest: add it, or choose one of the preset's stages",
                "rule salinity-sensitive-stages: It can never fire: salinity lies between 0 ‰ and 50 ‰. Choose a limit within.",
            ]
        );
    }
}
