//! Signatures as Standard Webhooks has them: HMAC-SHA256 over the message's id, its time and its body.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use skylift_model::Timestamp;

/// What the callbacks of one API key are signed with.
pub struct Secret([u8; 32]);

impl Secret {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The header `webhook-signature` of a message.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{id}.{}.", seconds(at)).as_bytes());
        signing.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(signing.sign()))
    }
}

/// The header `webhook-timestamp`.
pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_make_of_the_same() {
        // printf 'x-1.1700000000.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07 -binary | base64
        let secret = Secret::from_bytes([7; 32]);
        let at = Timestamp::from_millis(1_700_000_000_999);
        let signed = secret.sign("x-1", at, br#"{"a":1}"#);
        assert_eq!(signed, "v1,xuqn+PL82mFBsZMt3XHnGIuDLNBLyHNU0xzQcFUA/O8=");
        assert_ne!(secret.sign("x-2", at, br#"{"a":1}"#), signed);
        assert_ne!(secret.sign("x-1", at, br#"{"a":2}"#), signed);
    }
}
