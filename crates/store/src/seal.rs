//! Secrets at rest: sealed with a master key that is not in the database.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce in front. The context a secret belongs to is authenticated, so
//! that a sealed value moved to another row does not open there.

use std::sync::Arc;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};

/// The length of a master key in bytes.
pub const KEY_BYTES: usize = 32;

/// The key all secrets are sealed with.
#[derive(Clone)]
pub struct MasterKey(Arc<Keys>);

struct Keys {
    seal: LessSafeKey,
    /// What other keys are derived from.
    root: Prk,
}

/// A sealed value that does not open: another key, another context, or damaged bytes.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value does not open; was the master key replaced?")]
pub struct Unopened;

/// A new secret: 32 random bytes as 64 hexadecimal digits.
///
/// # Errors
/// Where the system has no randomness.
pub fn new_secret() -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl MasterKey {
    /// From its 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).ok()?;
        let root = Salt::new(HKDF_SHA256, b"skylift").extract(bytes);
        Some(Self(Arc::new(Keys { seal: LessSafeKey::new(key), root })))
    }

    /// A key of its own for a purpose, such as `callback/k-1m8…`: always the same one, and none of them tells anything of another (RFC 5869).
    pub fn derive(&self, purpose: &str) -> Result<[u8; KEY_BYTES], Unopened> {
        let mut derived = [0; KEY_BYTES];
        let info = [purpose.as_bytes()];
        let expanded = self.0.root.expand(&info, HKDF_SHA256).map_err(|_| Unopened)?;
        expanded.fill(&mut derived).map_err(|_| Unopened)?;
        Ok(derived)
    }

    /// Seals a value for a context, such as `env/shop`.
    pub fn seal(&self, context: &str, value: &[u8]) -> Result<Vec<u8>, Unopened> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Unopened)?;
        let mut sealed = value.to_vec();
        let aad = Aad::from(context.as_bytes());
        self.0
            .seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| Unopened)?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    /// Opens a value sealed for the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Unopened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened)?;
        let mut bytes = rest.to_vec();
        let opened =
            self.0.seal.open_in_place(nonce, Aad::from(context.as_bytes()), &mut bytes).map_err(|_| Unopened)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_is_64_digits_and_never_the_same() {
        let (one, other) = (new_secret().unwrap(), new_secret().unwrap());
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_context() {
        let key = MasterKey::from_bytes(&[7; KEY_BYTES]).unwrap();
        let sealed = key.seal("env/shop", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(key.open("env/shop", &sealed).unwrap(), b"hunter2");
        assert!(key.open("env/other", &sealed).is_err());
        assert!(MasterKey::from_bytes(&[8; KEY_BYTES]).unwrap().open("env/shop", &sealed).is_err());
        assert!(key.open("env/shop", &sealed[..5]).is_err());
        assert!(MasterKey::from_bytes(&[1; 31]).is_none());
    }

    #[test]
    fn a_derived_key_is_always_the_same_and_another_for_every_purpose() {
        let key = MasterKey::from_bytes(&[7; KEY_BYTES]).unwrap();
        let derived = key.derive("callback/a").unwrap();
        assert_eq!(derived, MasterKey::from_bytes(&[7; KEY_BYTES]).unwrap().derive("callback/a").unwrap());
        let others = [key.derive("callback/b"), MasterKey::from_bytes(&[8; KEY_BYTES]).unwrap().derive("callback/a")];
        assert!(others.iter().all(|other| *other.as_ref().unwrap() != derived) && derived != [7; KEY_BYTES]);
    }
}
