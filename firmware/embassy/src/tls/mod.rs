//! TLS 1.3 to the gateway that holds the pinned key, and to nobody else.

mod pinned;
mod records;

use core::pin::pin;

use embedded_io_async::{Read, Write};
use embedded_tls::{
    Aes128GcmSha256, CryptoProvider, CryptoRng, CryptoRngCore, TlsConfig, TlsContext, TlsError,
    TlsVerifier,
};
use p256::ecdsa::DerSignature;
use rand_core::RngCore;

use self::pinned::PinnedKey;
pub(crate) use self::records::{Flags, Records};
use crate::{run::Entropy, stream::Connection, trouble::Trouble};

/// Opens TLS.
pub(crate) async fn open<S: Read + Write>(
    tls: &mut Connection<'_, S>,
    key: &[u8; 65],
    entropy: &mut impl Entropy,
) -> Result<(), Trouble> {
    let config = TlsConfig::new();
    let mut provider = Pinning {
        random: Random(entropy),
        verifier: PinnedKey::new(key),
    };
    let opened = pin!(tls.open(TlsContext::new(&config, &mut provider))).await;
    provider.verifier.judge(opened)
}

struct Pinning<'a, E> {
    random: Random<'a, E>,
    verifier: PinnedKey<'a>,
}

impl<E: Entropy> CryptoProvider for Pinning<'_, E> {
    type CipherSuite = Aes128GcmSha256;
    type Signature = DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.verifier)
    }
}

/// The board's entropy as the crate asks for it.
struct Random<'a, E>(&'a mut E);

impl<E: Entropy> RngCore for Random<'_, E> {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl<E: Entropy> CryptoRng for Random<'_, E> {}
