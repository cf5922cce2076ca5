//! The node's end of the connection.

use embassy_futures::select::{Either, Either3, select, select3};
use sen_node::Link;
use sen_wire::{
    limits::{MAX_CONFIG_BYTES, MAX_CONTROL_BYTES, MAX_PACK_BYTES},
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
    pub(crate) receipts: Incoming<'a, Letter<MAX_CONTROL_BYTES>>,
    pub(crate) configs: Incoming<'a, Letter<MAX_CONFIG_BYTES>>,
    pub(crate) rssi_dbm: fn() -> Option<i16>,
    pub(crate) open: bool,
}

impl Link for MailLink<'_> {
    type Error = Trouble;

    async fn connect(&mut self) -> Result<(), Trouble> {
        self.open = false;
        self.signals.answer.reset();
        self.signals.goodbye.reset();
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
            let came = select3(
                self.receipts.receive(),
                self.configs.receive(),
                self.signals.ended.wait(),
            );
            let (kind, length) = match came.await {
                Either3::First(letter) => {
                    let taken = take(letter, buffer);
                    self.receipts.receive_done();
                    taken
                }
                Either3::Second(letter) => {
                    let taken = take(letter, buffer);
                    self.configs.receive_done();
                    taken
                }
                Either3::Third(()) => {
                    self.open = false;
                    continue;
                }
            };
            if let Some(length) = length {
                return Ok((kind, length));
            }
        }
    }

    async fn disconnect(&mut self) {
        if self.open {
            self.signals.goodbye.signal(());
            self.signals.ended.wait().await;
            self.open = false;
        }
    }

    fn rssi_dbm(&self) -> Option<i16> {
        (self.rssi_dbm)()
    }
}

/// Copies a message to the front of `buffer`; no length if it does not fit.
fn take<const N: usize>(letter: &Letter<N>, buffer: &mut [u8]) -> (Kind, Option<usize>) {
    let (kind, payload) = letter.read();
    let room = buffer.get_mut(..payload.len());
    let copied = room.map(|room| room.copy_from_slice(payload));
    (kind, copied.map(|()| payload.len()))
}
