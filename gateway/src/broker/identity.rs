//! The gateway's key towards its nodes: P-256, made at the first start, pinned on every node when it is flashed.
//!
//! The certificate around it is only what TLS carries the key in: Sen's nodes compare the key and nothing else, so a
//! certificate can be made anew at any time and a key never. Whoever has the key file can play the gateway: it is 0600 and
//! leaves the machine in a backup of the data folder only.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sen_wire::provision::KEY_BYTES;
use sha2::{Digest, Sha256};

/// The key's file in the data folder.
pub const KEY_FILE: &str = "node-tls.key";
/// The certificate's file in the data folder: made anew from the key when it is gone.
pub const CERTIFICATE_FILE: &str = "node-tls.crt";
/// What stands before the point in the SubjectPublicKeyInfo of every P-256 key (RFC 5480, section 2).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Names that the certificate of our own making carries, for clients that look at names.
const NAMES: [&str; 3] = ["sen.local", "localhost", "127.0.0.1"];

/// Certificate and key files of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate with its chain, PEM.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

impl Files {
    /// Where the gateway keeps those of its own making.
    #[must_use]
    pub fn in_data(dir: &Path) -> Self {
        Self {
            certificate: dir.join(CERTIFICATE_FILE),
            key: dir.join(KEY_FILE),
        }
    }
}

/// The key towards nodes can't be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file can't be read or written.
    #[error("tls: {path} can't be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not PEM of the right kind.
    #[error("tls: {path} is not a {what} in PEM form")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What the reader said.
        source: rustls::pki_types::pem::Error,
    },
    /// The key is no P-256 key: nodes know no other.
    #[error(
        "tls: {path} is not a P-256 key; nodes take no other: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
    )]
    Curve {
        /// Which.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or can't be used.
    #[error("tls: {path} and its certificate can't be used together")]
    Pair {
        /// The key's.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// A key or a certificate can't be made.
    #[error("tls: no certificate can be made")]
    Make(#[from] rcgen::Error),
}

/// The key towards nodes, with its certificate.
#[derive(Debug, Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    point: [u8; KEY_BYTES],
    pin: [u8; 32],
}

impl Identity {
    /// Reads the given files, or those in the data folder, which are made if there are none.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load_or_make(dir: &Path, given: Option<&Files>) -> Result<Self, IdentityError> {
        if let Some(files) = given {
            return Self::read(files);
        }
        let files = Files::in_data(dir);
        let there = |path: &Path| {
            path.try_exists().map_err(|source| IdentityError::File {
                path: path.to_path_buf(),
                source,
            })
        };
        let pair = if there(&files.key)? {
            if there(&files.certificate)? {
                return Self::read(&files);
            }
            KeyPair::from_pem(&text(&files.key)?)?
        } else {
            let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            write(&files.key, &pair.serialize_pem(), 0o600)?;
            pair
        };
        let mut about = CertificateParams::new(NAMES.map(str::to_owned))?;
        about
            .distinguished_name
            .push(DnType::CommonName, "Sen gateway");
        write(&files.certificate, &about.self_signed(&pair)?.pem(), 0o644)?;
        Self::read(&files)
    }

    /// Reads what is there and makes nothing.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn read(files: &Files) -> Result<Self, IdentityError> {
        let pem = |path: &Path, what| {
            let path = path.to_path_buf();
            move |source| IdentityError::Pem { path, what, source }
        };
        let certificate = text(&files.certificate)?;
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(certificate.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(pem(&files.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(text(&files.key)?.as_bytes())
            .map_err(pem(&files.key, "key"))?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|source| {
            IdentityError::Pair {
                path: files.key.clone(),
                source,
            }
        })?;
        let spki = certified.key.public_key().ok_or_else(|| no_p256(files))?;
        let point = spki
            .strip_prefix(&P256_HEAD)
            .and_then(|point| <[u8; KEY_BYTES]>::try_from(point).ok())
            .ok_or_else(|| no_p256(files))?;
        let pin = Sha256::digest(&spki).into();
        Ok(Self {
            certified: Arc::new(certified),
            point,
            pin,
        })
    }

    /// The public key as a node is given it: uncompressed point.
    #[must_use]
    pub fn point(&self) -> &[u8; KEY_BYTES] {
        &self.point
    }

    /// SHA-256 of the SubjectPublicKeyInfo, in hexadecimal: what people compare.
    #[must_use]
    pub fn pin(&self) -> String {
        hex(&self.pin)
    }

    /// Certificate chain and key, for the listener.
    pub(super) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

fn no_p256(files: &Files) -> IdentityError {
    IdentityError::Curve {
        path: files.key.clone(),
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, b| {
        // Writing to a String never fails.
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// ring, with the one suite that nodes speak first. TLS 1.2 suites are left out.
pub(super) fn provider() -> CryptoProvider {
    use rustls::crypto::ring::{cipher_suite, default_provider};
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..default_provider()
    }
}

fn text(path: &Path) -> Result<String, IdentityError> {
    fs::read_to_string(path).map_err(|source| IdentityError::File {
        path: path.to_path_buf(),
        source,
    })
}

/// Writes the whole file or nothing: a start that is killed leaves no half a key.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    crate::files::write_whole(path, text.as_bytes(), mode).map_err(|source| IdentityError::File {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = Identity::load_or_make(dir.path(), None).expect("made");
        let again = Identity::load_or_make(dir.path(), None).expect("read");
        assert_eq!(first.pin(), again.pin());
        assert_eq!(first.point()[0], 4);
        let mode = fs::metadata(dir.path().join(KEY_FILE))
            .expect("key")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_lost_certificate_is_made_anew_around_the_same_key() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = Identity::load_or_make(dir.path(), None).expect("made");
        fs::remove_file(dir.path().join(CERTIFICATE_FILE)).expect("removed");
        let again = Identity::load_or_make(dir.path(), None).expect("made anew");
        assert_eq!(first.point(), again.point());
    }

    #[test]
    fn other_keys_are_refused_by_name() {
        let dir = tempfile::tempdir().expect("temp dir");
        let files = Files::in_data(dir.path());
        let put = |key: &KeyPair, of: &KeyPair| {
            let certificate = CertificateParams::default()
                .self_signed(of)
                .expect("signed");
            fs::write(&files.key, key.serialize_pem()).expect("key");
            fs::write(&files.certificate, certificate.pem()).expect("certificate");
            Identity::read(&files).map(|_| ())
        };
        let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
        assert!(matches!(put(&ed, &ed), Err(IdentityError::Curve { .. })));
        let (a, b) = (
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key"),
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key"),
        );
        assert!(matches!(put(&a, &b), Err(IdentityError::Pair { .. })));
        assert!(put(&a, &a).is_ok());
        fs::write(&files.key, "no key").expect("key");
        assert!(matches!(
            Identity::load_or_make(dir.path(), None),
            Err(IdentityError::Pem { .. })
        ));
    }
}
