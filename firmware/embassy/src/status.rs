//! What the node is doing, for the people beside it: an LED pattern and a line of text at each change.

use core::fmt;

use embassy_futures::select::{Either, select};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, signal::Signal};
use embassy_time::{Duration, Timer};

use crate::trouble::Trouble;

/// What a board shows people with. A board without one of them does nothing there.
pub trait Panel {
    /// Lights or darkens the status LED.
    fn led(&mut self, on: bool);

    /// Writes a line of text to the serial console, and its end.
    fn line(&mut self, line: fmt::Arguments<'_>);
}

/// What the node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has begun to join, for the first time.
    Joining,
    /// Joined, so many milliseconds after its start.
    Joined(u64),
    /// Gone until it has something to send: it has a listen window.
    Resting,
    /// Not joined, and why the last attempt failed. It goes on trying, and measuring.
    Trouble(Trouble),
}

/// So many flashes, a pause, and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Flashes.
    pub flashes: u8,
    /// Length of a flash.
    pub on: Duration,
    /// Dark after each flash.
    pub off: Duration,
    /// Dark after the last one, in addition.
    pub pause: Duration,
}

impl Status {
    /// The LED's pattern: an even blink while joining, a short flash every five seconds when all is well, else the trouble's
    /// number of flashes.
    pub const fn pattern(self) -> Pattern {
        let (flashes, on, off, pause) = match self {
            Self::Joining => (1, 500, 500, 0),
            Self::Joined(_) | Self::Resting => (1, 30, 0, 5_000),
            Self::Trouble(trouble) => (trouble.flashes(), 200, 300, 1_500),
        };
        Pattern {
            flashes,
            on: Duration::from_millis(on),
            off: Duration::from_millis(off),
            pause: Duration::from_millis(pause),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joining => f.write_str("sen joining"),
            Self::Joined(uptime_ms) => write!(f, "sen joined after_ms={uptime_ms}"),
            Self::Resting => f.write_str("sen resting"),
            Self::Trouble(trouble) => write!(f, "sen trouble={} {trouble}", trouble.reason()),
        }
    }
}

/// The newest status that was not shown yet.
pub(crate) type News = Signal<NoopRawMutex, Status>;

/// Shows what comes, for ever.
pub(crate) async fn show(panel: &mut impl Panel, led: bool, news: &News) -> ! {
    let mut status = Status::Joining;
    loop {
        panel.line(format_args!("{status}"));
        status = match select(blink(panel, led, status.pattern()), news.wait()).await {
            Either::First(never) => never,
            Either::Second(next) => next,
        };
    }
}

async fn blink(panel: &mut impl Panel, led: bool, pattern: Pattern) -> ! {
    loop {
        for _ in 0..pattern.flashes {
            panel.led(led);
            Timer::after(pattern.on).await;
            panel.led(false);
            Timer::after(pattern.off).await;
        }
        Timer::after(pattern.pause).await;
    }
}

/// Shows a trouble for ever: for a board whose node can't start.
pub async fn give_up(panel: &mut impl Panel, led: bool, trouble: Trouble) -> ! {
    let status = Status::Trouble(trouble);
    panel.line(format_args!("{status}"));
    blink(panel, led, status.pattern()).await
}
