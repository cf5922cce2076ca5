//! SMS through a modem in the gateway (a 4G stick), by AT commands over a serial line (3GPP TS 27.005). What the card's contract
//! says, about 350 đồng a part. It needs no internet: the last resort when the line is down.
//!
//! PDU mode, since text mode differs from maker to maker. A delivery report is asked for with each part, and arrives by itself
//! (`+CDS`) at any time; [`Channel::look`] finds it. A modem knows no idempotency key: after an answer that was lost, or a long
//! message of which one part failed, an SMS may come twice.

mod at;
mod pdu;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex as Plain, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serial2_tokio::SerialPort;
use tokio::sync::Mutex;

use super::{Channel, Failure, Outcome, Retry};
use crate::person::Kind;
use crate::phone::Phone;
use crate::plan::Message;
use at::Session;

/// How long a modem may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a command.
    pub command: Duration,
    /// For the network to take a message.
    pub network: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(5),
            network: Duration::from_secs(45),
        }
    }
}

/// A modem on a serial line.
#[derive(Debug)]
pub struct Modem {
    path: PathBuf,
    baud: u32,
    patience: Patience,
    /// The line, once it is open and the modem has answered. Taken out while in use, so that a send that is cancelled half-way
    /// closes it, and the next one begins from the start.
    session: Mutex<Option<Session>>,
    reports: Plain<BTreeMap<u8, bool>>,
}

impl Modem {
    /// The modem at a serial device; it is opened when there is something to send.
    #[must_use]
    pub fn new(path: &Path, baud: u32, patience: Patience) -> Self {
        let reports = Plain::new(BTreeMap::new());
        Self {
            path: path.to_owned(),
            baud,
            patience,
            session: Mutex::new(None),
            reports,
        }
    }

    /// On a line that is open already: a test's pseudo-terminal, or a port that somebody has set up. It is not opened again.
    #[must_use]
    pub fn on(port: SerialPort, patience: Patience) -> Self {
        let modem = Self::new(Path::new(""), 0, patience);
        Self {
            session: Mutex::new(Some(Session::new(port))),
            ..modem
        }
    }

    async fn try_send(&self, m: &Message) -> Result<Outcome, Failure> {
        let phone = Phone::parse(&m.address).map_err(|e| Failure {
            retry: Retry::Never,
            why: e.to_string(),
        })?;
        let mut line = self.session.lock().await;
        let mut session = match line.take() {
            Some(s) => s,
            None => Session::open(&self.path, self.baud)?,
        };
        session.begin(self.patience).await?;
        let mut references = Vec::new();
        for part in pdu::submit(&phone, &m.content.text(), reference(m)) {
            match session.submit(&part, self.patience).await {
                Ok(mr) => {
                    // The modem counts to 255 and begins again: what it said of an older message is not of this one.
                    self.reports().remove(&mr);
                    references.push(mr.to_string());
                }
                Err(f) => {
                    // After a refusal the line is in order; after silence nobody knows.
                    if session.in_order() {
                        self.put_back(&mut line, session);
                    }
                    return Err(f);
                }
            }
        }
        self.put_back(&mut line, session);
        Ok(Outcome::accepted(Some(references.join(","))))
    }

    fn put_back(&self, line: &mut Option<Session>, mut session: Session) {
        self.reports().extend(session.take_reports());
        *line = Some(session);
    }

    fn reports(&self) -> std::sync::MutexGuard<'_, BTreeMap<u8, bool>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts of a message belong together by this; a repeat has the same, so that a phone may see that it is one.
fn reference(m: &Message) -> u8 {
    m.key
        .0
        .get(..2)
        .and_then(|h| u8::from_str_radix(h, 16).ok())
        .unwrap_or(0)
}

#[async_trait]
impl Channel for Modem {
    fn kind(&self) -> Kind {
        Kind::Modem
    }

    async fn send(&self, message: &Message) -> Outcome {
        self.try_send(message).await.unwrap_or_else(Into::into)
    }

    async fn look(&self, reference: &str) -> Option<Outcome> {
        let mut line = self.session.lock().await;
        if let Some(mut session) = line.take()
            && session.drain(Duration::from_millis(200)).await.is_ok()
        {
            self.put_back(&mut line, session);
        }
        let reports = self.reports();
        let parts: Option<Vec<bool>> = reference
            .split(',')
            .map(|r| reports.get(&r.parse().ok()?).copied())
            .collect();
        Some(if parts?.into_iter().all(|ok| ok) {
            Outcome::delivered()
        } else {
            Outcome::never("the network could not deliver it")
        })
    }

    fn can_look(&self) -> bool {
        true
    }

    fn at_once(&self) -> usize {
        1
    }
}
