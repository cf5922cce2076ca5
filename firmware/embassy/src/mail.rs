//! Between the node and its connection: each holds one end. Messages are written in place, never moved.

use embassy_sync::{
    blocking_mutex::raw::NoopRawMutex,
    signal::Signal,
    zerocopy_channel::{Receiver, Sender},
};
use sen_wire::topic::Kind;

use crate::trouble::Trouble;

/// A message in its place.
#[derive(Debug)]
pub(crate) struct Letter<const N: usize> {
    kind: Kind,
    length: usize,
    bytes: [u8; N],
}

impl<const N: usize> Letter<N> {
    pub(crate) const fn new() -> Self {
        Self {
            kind: Kind::Pack,
            length: 0,
            bytes: [0; N],
        }
    }

    /// Writes a message here; false if it is too long.
    pub(crate) fn write(&mut self, kind: Kind, payload: &[u8]) -> bool {
        let Some(room) = self.bytes.get_mut(..payload.len()) else {
            return false;
        };
        room.copy_from_slice(payload);
        self.kind = kind;
        self.length = payload.len();
        true
    }

    pub(crate) fn read(&self) -> (Kind, &[u8]) {
        (self.kind, self.bytes.get(..self.length).unwrap_or_default())
    }
}

pub(crate) type Outgoing<'a, T> = Sender<'a, NoopRawMutex, T>;
pub(crate) type Incoming<'a, T> = Receiver<'a, NoopRawMutex, T>;

/// What node and connection tell each other beside messages.
pub(crate) struct Signals {
    /// The node wants a new connection.
    pub(crate) order: Signal<NoopRawMutex, ()>,
    /// How the order went.
    pub(crate) answer: Signal<NoopRawMutex, Result<(), Trouble>>,
    /// The node says goodbye.
    pub(crate) goodbye: Signal<NoopRawMutex, ()>,
    /// The connection that was up is no more.
    pub(crate) ended: Signal<NoopRawMutex, ()>,
}

impl Signals {
    pub(crate) const fn new() -> Self {
        Self {
            order: Signal::new(),
            answer: Signal::new(),
            goodbye: Signal::new(),
            ended: Signal::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_takes_what_fits_and_keeps_the_old_one_else() {
        let mut letter = Letter::<4>::new();
        assert!(letter.write(Kind::Receipt, b"1234"));
        assert!(!letter.write(Kind::Config, b"12345"));
        assert_eq!(letter.read(), (Kind::Receipt, &b"1234"[..]));
        assert!(letter.write(Kind::Config, b""));
        assert_eq!(letter.read(), (Kind::Config, &b""[..]));
    }
}
