//! What there is to tell: the facts of one alarm, as whoever raises it hands them over.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// One occurrence of an alarm: unique for ever, also when the same rule raises again.
pub type AlarmId = String;

/// How much it matters, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody has to act now: passes quiet hours, digests and (unless chosen otherwise) the budget.
    Critical,
}

/// The facts of one alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Unique for ever.
    pub id: AlarmId,
    /// Whose budget.
    pub coop: String,
    /// Which farm.
    pub farm: String,
    /// Groups that the place belongs to.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The rule that raised it.
    pub rule: String,
    /// How much it matters.
    pub level: Level,
    /// Where, as people call it: "Ao 3".
    pub place: String,
    /// What, in the words of whoever set the rule: "Oxy hòa tan thấp".
    pub what: String,
    /// The value and its unit, ready to read: "2,8 mg/L". Empty if there is none.
    #[serde(default)]
    pub value: String,
    /// Since when.
    pub since: Millis,
    /// Where it can be seen and acknowledged.
    #[serde(default)]
    pub link: String,
}
