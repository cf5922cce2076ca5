//! The one key that a node trusts.

use embedded_tls::{
    Aes128GcmSha256, CertificateRef, CertificateVerifyRef, SignatureScheme, TlsError, TlsVerifier,
};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier};
use sha2::{Digest, Sha256};

use crate::trouble::Trouble;

/// What a server signs (RFC 8446, section 4.4.3): 64 blanks, this, and the hash of the handshake so far.
const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
const BLANKS: usize = 64;
const HASH: usize = 32;

/// Takes a server that proves, in this very handshake, to hold the private half of `key`. Whatever its certificate says
/// beside that is not read: there is one gateway, and its key was put here by hand.
pub(crate) struct PinnedKey<'a> {
    key: &'a [u8; 65],
    /// The handshake up to and with the certificate.
    transcript: Option<Sha256>,
    proof: Proof,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    None,
    Failed,
    Given,
}

impl<'a> PinnedKey<'a> {
    pub(crate) fn new(key: &'a [u8; 65]) -> Self {
        Self {
            key,
            transcript: None,
            proof: Proof::None,
        }
    }

    /// What came of the handshake. The TLS library ends it well, too, if the server just left certificate and signature
    /// out (it can't know that there is no pre-shared key to go by), so only a proof counts.
    pub(crate) fn judge(&self, opened: Result<(), TlsError>) -> Result<(), Trouble> {
        match (opened, self.proof) {
            (Ok(()), Proof::Given) => Ok(()),
            (Ok(()), _) | (Err(_), Proof::Failed) => Err(Trouble::WrongKey),
            (Err(_), _) => Err(Trouble::Protocol),
        }
    }

    fn check(&self, verify: &CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        if !matches!(
            verify.signature_scheme,
            SignatureScheme::EcdsaSecp256r1Sha256
        ) {
            return Err(TlsError::InvalidSignatureScheme);
        }
        let transcript = self.transcript.clone().ok_or(TlsError::InvalidHandshake)?;
        let mut message = [b' '; BLANKS + CONTEXT.len() + HASH];
        let (context, hash) = message[BLANKS..].split_at_mut(CONTEXT.len());
        context.copy_from_slice(CONTEXT);
        hash.copy_from_slice(&transcript.finalize());
        let key =
            VerifyingKey::from_sec1_bytes(self.key).map_err(|_| TlsError::InvalidCertificate)?;
        let signature =
            Signature::from_der(verify.signature).map_err(|_| TlsError::InvalidSignature)?;
        key.verify(&message, &signature)
            .map_err(|_| TlsError::InvalidSignature)
    }
}

impl TlsVerifier<Aes128GcmSha256> for PinnedKey<'_> {
    fn set_hostname_verification(&mut self, _hostname: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        _certificate: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        self.transcript = Some(transcript.clone());
        Ok(())
    }

    fn verify_signature(&mut self, verify: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let checked = self.check(&verify);
        self.proof = match checked {
            Ok(()) => Proof::Given,
            Err(_) => Proof::Failed,
        };
        checked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_ends_well_without_a_proof_is_refused() {
        let mut pinned = PinnedKey::new(&[4; 65]);
        assert_eq!(pinned.judge(Ok(())), Err(Trouble::WrongKey));
        assert_eq!(
            pinned.judge(Err(TlsError::IoError)),
            Err(Trouble::Protocol),
            "cut before anybody has shown anything"
        );
        pinned.proof = Proof::Failed;
        assert_eq!(pinned.judge(Ok(())), Err(Trouble::WrongKey));
        assert_eq!(
            pinned.judge(Err(TlsError::InvalidSignature)),
            Err(Trouble::WrongKey)
        );
        pinned.proof = Proof::Given;
        assert_eq!(pinned.judge(Ok(())), Ok(()));
    }

    #[test]
    fn a_signature_of_another_scheme_or_before_the_certificate_is_none() {
        let mut pinned = PinnedKey::new(&[4; 65]);
        for signature_scheme in [
            SignatureScheme::Ed25519,
            SignatureScheme::EcdsaSecp256r1Sha256,
        ] {
            let verify = CertificateVerifyRef {
                signature_scheme,
                signature: &[0x30, 0],
            };
            assert!(pinned.verify_signature(verify).is_err());
            assert_eq!(pinned.proof, Proof::Failed);
        }
    }
}
