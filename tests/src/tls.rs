//! A node's end of TLS, on which every record that comes in is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

/// A client that takes the one certificate in `pem`, in the versions given.
///
/// # Errors
/// When that is no certificate.
pub fn trusting(
    pem: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The raw stream; remembers what came in.
struct Tap {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.stream.read(buffer)?;
        self.seen.extend_from_slice(&buffer[..n]);
        Ok(n)
    }
}

impl Write for Tap {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// What a conversation came to.
#[derive(Debug)]
pub struct Talk {
    /// Bytes that came, decrypted.
    pub answer: Vec<u8>,
    /// Length of each record that came, header and all.
    pub records: Vec<usize>,
    /// The suite agreed on.
    pub suite: String,
}

/// Says `words` and listens until `enough` bytes have come or it is silent for two seconds. Blocks.
///
/// # Errors
/// When there is no handshake.
pub fn talk(
    addr: SocketAddr,
    config: Arc<ClientConfig>,
    words: &[u8],
    enough: usize,
) -> Result<Talk> {
    let stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut tap = Tap {
        stream,
        seen: Vec::new(),
    };
    let mut client = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    let mut answer = Vec::new();
    {
        let mut tls = rustls::Stream::new(&mut client, &mut tap);
        tls.write_all(words).context("handshake")?;
        let mut buffer = [0; 4096];
        while answer.len() < enough {
            match tls.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(n) => answer.extend_from_slice(&buffer[..n]),
            }
        }
    }
    let suite = client
        .negotiated_cipher_suite()
        .map(|s| format!("{:?}", s.suite()))
        .unwrap_or_default();
    Ok(Talk {
        answer,
        records: records(&tap.seen),
        suite,
    })
}

fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = bytes {
        let body = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(5 + body);
        bytes = rest.get(body..).unwrap_or_default();
    }
    lengths
}
