//! What to do, and why: advice as data, with the numbers that speak for it.
//!
//! | module | advice |
//! |---|---|
//! | [`rice`] | pump now, or wait about so many days: alternate wetting and drying |
//! | [`sluice`] | keep the sluice shut, or open until a time: salinity and the tide |
//! | [`oxygen`] | oxygen will fall below a limit before dawn |
//! | [`words`] | the sentences, Vietnamese and English |
//! | [`forecast`], [`skill`], [`fit`] | forecasts, whether they have earned to be shown, least squares |
//!
//! Advice never rests on a reading that is not believed, nor on a forecast that has not earned it: where neither is there, the
//! answer is [`What::Unknown`], with the reason, or the advice says only what is measured.

pub mod fit;
pub mod forecast;
pub mod oxygen;
pub mod rice;
pub mod skill;
pub mod sluice;
pub mod words;

use serde::Serialize;

use crate::Millis;

/// About what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Water in the paddy.
    RiceWater,
    /// The sluice that lets river water in.
    Sluice,
    /// Oxygen in the pond tonight.
    NightOxygen,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Pump water in now.
    PumpNow,
    /// Wait: it is not dry enough.
    Wait,
    /// Leave the sluice shut.
    KeepShut,
    /// The sluice may be open.
    Open,
    /// Get the aerators ready: oxygen will be short.
    Aerate,
    /// Nothing to fear.
    Fine,
    /// Nothing can be said.
    Unknown,
}

/// The numbers and circumstances that speak for an advice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The level in the tube and where to pump, cm; how fast it falls, cm a day, where that is known.
    Tube {
        /// Now.
        level_cm: f64,
        /// Where to pump.
        pump_at_cm: f64,
        /// Fall a day; `None`: not known, or it does not fall.
        fall_cm_a_day: Option<f64>,
    },
    /// Around flowering the field is kept under water.
    Flowering {
        /// Now, cm.
        level_cm: f64,
        /// To be held, cm.
        hold_cm: f64,
    },
    /// The first two weeks after transplanting the field is not dried.
    JustPlanted {
        /// Now, cm.
        level_cm: f64,
    },
    /// Salinity and its limit, ‰.
    Salt {
        /// Now.
        salinity: f64,
        /// Limit.
        limit: f64,
    },
    /// Oxygen now, its forecast least before dawn and the limit, mg/L; how far such forecasts were off of late.
    Oxygen {
        /// Now.
        now: f64,
        /// Least before dawn.
        least: f64,
        /// Limit.
        limit: f64,
        /// Mean absolute error.
        off_by: f64,
    },
    /// Nothing believed has come lately.
    NoReading,
    /// The forecast has not earned to be shown here.
    NoSkill,
}

/// An advice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// About what.
    pub kind: Kind,
    /// What to do.
    pub what: What,
    /// Until when that holds, or when it is expected; `None`: not known.
    pub when: Option<Millis>,
    /// Why.
    pub because: Because,
}
