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
