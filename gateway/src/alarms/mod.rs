//! Alarms: rules on what the journal says, and what became of them.
//!
//! ```text
//! journal --cursor `alarms`--> quality (believed?) --> engine --> alarm_event, doubt, alarm_state   (one transaction)
//!                                                        ^
//!                          rules, registry, people, link, database, the clock
//! ```
//! The engine and what is believed are `sen-alerts`: pure. Here is where they get their readings from, and where what they
//! say is kept. Outputs, the engine's state and the cursor go into one transaction: after a crash at any point the readings
//! behind the cursor are judged again from the state that stood there, and nothing is said twice or not at all.
//!
//! | file | what |
//! |---|---|
//! | `rules` | rules by version, with who and when |
//! | `presets` | presets that people have made their own |
//! | `places` | the registry as rules see it |
//! | `watcher` | the engine's state, its readings and what it says |
//! | `follow` | the task: journal, people, clock |
//! | `offline` | what came late, looked through for the history |
//! | `book` | what is kept: history, doubts, the engine's state |
//! | `rehearsal` | what a rule would have done |

pub mod book;
mod follow;
mod offline;
mod places;
pub mod presets;
pub mod rehearsal;
pub mod rules;
mod watcher;

use std::collections::BTreeMap;
use std::sync::Arc;

use sen_alerts::Rule;
use sen_alerts::check::{Checked, Problem};
use sen_alerts::engine::{Alarm, Subject};
use sen_wire::Channel;
use tokio::sync::{mpsc, oneshot, watch};

pub use follow::Follower;

use crate::live::Live;
use crate::reading::{Millis, NodeNum};
use crate::registry::Registry;

/// The engine's cursor in the journal.
pub const CURSOR: &str = "alarms";

/// The alarms there are, and a way to act on them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Alarms {
    board: watch::Receiver<Arc<Vec<Alarm>>>,
    acts: mpsc::Sender<Act>,
}

/// A rule as it would be in force, with what is odd about it, or everything that is wrong with it.
///
/// # Errors
/// Every [`Problem`] at once.
pub fn check(
    rule: Rule,
    known: &Registry,
    live: &Live,
    now: Millis,
) -> Result<Checked, Vec<Problem>> {
    let today = watcher::ZONE.local(now).date();
    rule.checked_in(&places::places(known, &measured(live)), today)
}

/// What each node has measured so far.
fn measured(live: &Live) -> BTreeMap<NodeNum, Vec<Channel>> {
    let mut measured: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for latest in live.all() {
        measured
            .entry(latest.node)
            .or_default()
            .push(latest.channel);
    }
    measured
}

/// Somebody acts on an alarm.
#[derive(Debug)]
struct Act {
    subject: Subject,
    /// Puts it off until then; `None`: takes it.
    snooze: Option<Millis>,
    who: String,
    /// Whether there was such an alarm, once that is on disk.
    done: oneshot::Sender<bool>,
}

/// The watch over alarms has ended: the gateway stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("alarms are not watched: the gateway is stopping")]
pub struct Stopped;

impl Alarms {
    /// The alarms of this moment.
    #[must_use]
    pub fn board(&self) -> Arc<Vec<Alarm>> {
        self.board.borrow().clone()
    }

    /// The alarms as they change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Vec<Alarm>>> {
        self.board.clone()
    }

    /// Takes an alarm, or puts it off until `snooze`. False: there is no such alarm, or it is so already. Returns when that
    /// is on disk.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn act(
        &self,
        subject: Subject,
        snooze: Option<Millis>,
        who: String,
    ) -> Result<bool, Stopped> {
        let (done, answer) = oneshot::channel();
        let act = Act {
            subject,
            snooze,
            who,
            done,
        };
        self.acts.send(act).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
