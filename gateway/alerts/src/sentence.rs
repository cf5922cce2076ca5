//! A rule as one sentence, so that whoever sets it reads what it does.
//!
//! ```
//! # use sen_alerts::{Rule, text::Lang};
//! let rule: Rule = serde_json::from_str(r#"{
//!     "id": "salt", "level": "critical", "over": {"plot": "vuon-1"}, "channel": "salinity",
//!     "when": {"above": {"value": 0.5, "clears_at": 0.4}}, "for_s": 1800
//! }"#)?;
//! assert_eq!(
//!     rule.sentence(Lang::Vi),
//!     "Báo nguy hiểm khi độ mặn ở thửa vuon-1 vượt 0,5 ‰ liên tục ít nhất 30 phút; hết cảnh báo khi còn 0,4 ‰ trở xuống."
//! );
//! # Ok::<(), serde_json::Error>(())
//! ```

use crate::rule::{Condition, Rule};
use crate::text::{End, Lang, Words, clock, fill, unit};

impl Rule {
    /// The rule in one sentence. Places are called by their ids.
    #[must_use]
    pub fn sentence(&self, lang: Lang) -> String {
        self.sentence_at(lang, self.over.id().unwrap_or_default())
    }

    /// The rule in one sentence; what it looks over is called by this name.
    #[must_use]
    pub fn sentence_at(&self, lang: Lang, place: &str) -> String {
        let words = lang.words();
        let name = ("name", place.to_owned());
        let over = fill(words.over(&self.over), std::slice::from_ref(&name));
        let node = fill(words.node(&self.over), &[name, ("over", over.clone())]);
        let what = self
            .channel
            .map(|channel| words.channel(channel))
            .unwrap_or_default();
        let mut values = vec![("what", what), ("over", over), ("node", node)];
        let end = self.values(words, &mut values);
        let duration = |seconds: u32| ("duration", words.duration(seconds));

        let condition = fill(words.condition(&self.when, self.channel.is_some()), &values);
        let held = match self.for_s {
            0 => String::new(),
            seconds => fill(words.held(), &[duration(seconds)]),
        };
        values.push(duration(self.clear_for_s));
        let ends = fill(words.ends(&end), &values);
        fill(
            words.sentence(),
            &[
                ("level", words.level(self.level).to_owned()),
                ("condition", condition),
                ("held", held),
                ("awake", self.awake(words)),
                ("ends", ends),
            ],
        )
    }

    /// The condition's numbers, and how its alarm ends.
    fn values(&self, words: &'static dyn Words, values: &mut Vec<(&str, String)>) -> End {
        // Differences of kelvins are the same in degrees.
        let canonical = self.channel.map_or("", |channel| channel.quantity().unit());
        let shown = unit(self.unit.as_deref().unwrap_or(canonical));
        let value = |value: f64| words.value(value, shown);
        let long = self.clear_for_s > 0;
        let plain = if long { End::PlainAfter } else { End::Plain };
        match &self.when {
            Condition::Above(t) => {
                values.push(("value", value(t.value)));
                let Some(clears_at) = t.clears_at else {
                    return plain;
                };
                values.push(("clears", value(clears_at)));
                if long { End::DownAfter } else { End::Down }
            }
            Condition::Below(t) => {
                values.push(("value", value(t.value)));
                let Some(clears_at) = t.clears_at else {
                    return plain;
                };
                values.push(("clears", value(clears_at)));
                if long { End::UpAfter } else { End::Up }
            }
            Condition::Outside(band) => {
                // The limits of the alarm are said before those of its end, so the end has a table of its own.
                values.push(("low", value(band.low)));
                values.push(("high", value(band.high)));
                if band.hysteresis == 0.0 {
                    return plain;
                }
                values.push(("inner_low", value(band.low + band.hysteresis)));
                values.push(("inner_high", value(band.high - band.hysteresis)));
                if long { End::InsideAfter } else { End::Inside }
            }
            Condition::Rises(change) | Condition::Falls(change) => {
                values.push(("by", value(change.by)));
                values.push(("within", words.duration(change.within_s)));
                plain
            }
            Condition::Swings(swing) => {
                values.push(("by", value(swing.by)));
                plain
            }
            Condition::Fault => plain,
            Condition::Silent(silence) => {
                values.push(("after", words.duration(silence.after_s)));
                End::Plain
            }
        }
    }

    fn awake(&self, words: &'static dyn Words) -> String {
        let mut said = String::new();
        if let Some(hours) = self.active.hours {
            let values = [("from", clock(hours.from)), ("to", clock(hours.to))];
            said += &fill(words.hours(), &values);
        }
        if let Some(season) = self.active.season {
            let values = [
                ("from", words.day(season.from)),
                ("to", words.day(season.to)),
            ];
            said += &fill(words.season(), &values);
        }
        if let Some(stage) = &self.active.stage {
            let name = stage.name.as_deref().unwrap_or_default();
            let name = words.stage(name).unwrap_or(name);
            let values = [
                ("stage", name.to_owned()),
                ("from", stage.from_day.to_string()),
                ("to", stage.to_day.to_string()),
            ];
            said += &fill(words.stage_days(!name.is_empty()), &values);
        }
        said
    }
}

#[cfg(test)]
mod tests;
