//! The node's end of the connection.

use embassy_futures::select::{Either, select};
use sen_node::Link;
use sen_wire::{
    limits::{MAX_CONTROL_BYTES, MAX_PACK_BYTES},
    topic::Kind,
};

use crate::{
    mail::{Incoming, Letter, Outgoing, Signals},
    trouble::Trouble,
};

/// [`Link`] over mail: nothing here is lost when a wait is cancelled.
pub(crate) struct MailLink<'a> {
    pub(crate) signals: &'a Signals,
    pub(crate) up: Outgoing<'a, Letter<MAX_PACK_BYTES>>,
    pub(crate) down: Incoming<'a, Letter<MAX_CONTROL_BYTES>>,
    pub(crate) rssi_dbm: fn() -> Option<i16>,
    pub(crate) open: bool,
}

impl Link for MailLink<'_> {
    type Error = Trouble;

    async fn connect(&mut self) -> Result<(), Trouble> {
        self.open = false;
        self.signals.answer.reset();
        self.signals.ended.reset();
        self.signals.order.signal(());
        let answer = self.signals.answer.wait().await;
        self.open = answer.is_ok();
        answer
    }

    async fn publish(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Trouble> {
        if !self.open {
            return Err(Trouble::Lost);
        }
        match select(self.signals.ended.wait(), self.up.send()).await {
            Either::First(()) => {
                self.open = false;
                Err(Trouble::Lost)
            }
            Either::Second(letter) => {
                let fits = letter.write(kind, payload);
                if fits {
                    self.up.send_done();
                }
                // The node's buffer is as long as the letter.
                debug_assert!(fits, "a message longer than a letter");
                Ok(())
            }
        }
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(Kind, usize), Trouble> {
        loop {
            if !self.open {
                return Err(Trouble::Lost);
            }
            // What came before the end goes first.
            match select(self.down.receive(), self.signals.ended.wait()).await {
                Either::First(letter) => {
                    let (kind, payload) = letter.read();
                    let length = payload.len();
                    let room = buffer.get_mut(..length);
                    let fits = room.map(|room| room.copy_from_slice(payload)).is_some();
                    self.down.receive_done();
                    if fits {
                        return Ok((kind, length));
                    }
                }
                Either::Second(()) => self.open = false,
            }
        }
    }

    fn rssi_dbm(&self) -> Option<i16> {
        (self.rssi_dbm)()
    }
}
