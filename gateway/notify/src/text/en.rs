//! English.

use super::Words;

pub(super) const WORDS: Words = Words {
    info: "For information",
    warning: "Warning",
    critical: "URGENT",
    over: "Over",
    digest: "{n} alarms",
    acknowledge: "See and acknowledge",
    more: "and {n} more",
};
