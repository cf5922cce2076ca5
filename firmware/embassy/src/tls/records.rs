//! The socket below the stream: knows where a TLS record ends, and when to wait for TCP.
//!
//! The TLS library loses its place when a read or write of it is dropped in the middle of a record, and MQTT's waits are
//! dropped whenever the node has something to send. So this says when that is: the caller waits for the end of the record.
//! If it is dropped there all the same (by a time-out), what follows can't be decrypted, and the connection ends.

use core::cell::Cell;

use embedded_io_async::{ErrorType, Read, Write};

/// Content type, version, length (RFC 8446, section 5.1).
const HEAD: usize = 5;

/// What a stream and its user tell each other.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// The stream is in the middle of a record, in either direction: do not drop what it does.
    pub(crate) busy: Cell<bool>,
    /// The end is near: a flush waits until TCP has delivered. Else it waits for nothing, since TCP sends what it has, and
    /// its acknowledgement is a round trip away.
    pub(crate) closing: Cell<bool>,
}

pub(crate) struct Records<'a, S> {
    socket: S,
    flags: &'a Flags,
    head: [u8; HEAD],
    head_read: usize,
    /// Bytes of the record's body that are to come.
    body: usize,
    writing: bool,
}

impl<'a, S> Records<'a, S> {
    pub(crate) fn new(socket: S, flags: &'a Flags) -> Self {
        Self {
            socket,
            flags,
            head: [0; HEAD],
            head_read: 0,
            body: 0,
            writing: false,
        }
    }

    /// Follows the records through what was read.
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.body > 0 {
                let part = self.body.min(bytes.len());
                bytes = bytes.get(part..).unwrap_or_default();
                self.body -= part;
                continue;
            }
            let part = (HEAD - self.head_read).min(bytes.len());
            let (head, rest) = bytes.split_at(part);
            for (to, from) in self.head.iter_mut().skip(self.head_read).zip(head) {
                *to = *from;
            }
            self.head_read += part;
            bytes = rest;
            if self.head_read == HEAD {
                let [_, _, _, high, low] = self.head;
                self.body = usize::from(u16::from_be_bytes([high, low]));
                self.head_read = 0;
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let busy = self.writing || self.body > 0 || self.head_read > 0;
        self.flags.busy.set(busy);
    }
}

impl<S: ErrorType> ErrorType for Records<'_, S> {
    type Error = S::Error;
}

impl<S: Read> Read for Records<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, S::Error> {
        let count = self.socket.read(buffer).await?;
        self.follow(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl<S: Write> Write for Records<'_, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, S::Error> {
        self.writing = true;
        self.tell();
        let count = self.socket.write(bytes).await?;
        // A record is one write of the library, which comes back with the rest.
        self.writing = count < bytes.len();
        self.tell();
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), S::Error> {
        if self.flags.closing.get() {
            self.socket.flush().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_records_end_however_they_are_cut() {
        // Bodies of 3, 0 and 1 bytes.
        let bytes = [22, 3, 3, 0, 3, 1, 2, 3, 20, 3, 3, 0, 0, 23, 3, 3, 0, 1, 9];
        let ends = [8, 13, 19];
        for step in 1..=bytes.len() {
            let flags = Flags::default();
            let mut records = Records::new((), &flags);
            let mut at = 0;
            for chunk in bytes.chunks(step) {
                records.follow(chunk);
                at += chunk.len();
                assert_eq!(flags.busy.get(), !ends.contains(&at), "{step} {at}");
            }
        }
    }
}
