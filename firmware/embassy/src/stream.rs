//! The byte stream that MQTT runs over: TCP, or TLS over TCP. One type, so that the MQTT client is compiled once.

use embedded_io_async::{Error as _, ErrorKind, ErrorType, Read, Write};
use embedded_tls::{Aes128GcmSha256, TlsConnection};

use crate::tls::{Flags, Records};

/// An open stream over the socket `S`, lent: the state of TLS is never moved.
pub(crate) enum Stream<'s, 'a, S: Read + Write> {
    Plain(&'s mut S, &'a Flags),
    Tls(&'s mut Connection<'a, &'s mut S>),
}

/// TLS over the socket `S`.
pub(crate) type Connection<'a, S> = TlsConnection<'a, Records<'a, S>, Aes128GcmSha256>;

impl<S: Read + Write> ErrorType for Stream<'_, '_, S> {
    type Error = ErrorKind;
}

impl<S: Read + Write> Read for Stream<'_, '_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self {
            Self::Plain(socket, _) => socket.read(buffer).await.map_err(|e| e.kind()),
            Self::Tls(tls) => tls.read(buffer).await.map_err(|e| e.kind()),
        }
    }
}

impl<S: Read + Write> Write for Stream<'_, '_, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self {
            Self::Plain(socket, _) => socket.write(bytes).await.map_err(|e| e.kind()),
            Self::Tls(tls) => tls.write(bytes).await.map_err(|e| e.kind()),
        }
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        match self {
            Self::Plain(socket, flags) if flags.closing.get() => {
                socket.flush().await.map_err(|e| e.kind())
            }
            Self::Plain(..) => Ok(()),
            Self::Tls(tls) => tls.flush().await.map_err(|e| e.kind()),
        }
    }
}
