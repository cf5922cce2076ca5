//! The gateway's wall clock, passed to whatever needs the time.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::reading::Millis;

/// A clock. The system's, unless a test sets it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock(Option<fn() -> Millis>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that answers what `now` does.
    #[must_use]
    pub fn from_fn(now: fn() -> Millis) -> Self {
        Self(Some(now))
    }

    /// Now, ms UTC.
    #[must_use]
    pub fn now(&self) -> Millis {
        match self.0 {
            Some(now) => now(),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}
