//! The value of a sticky cookie: which target, until when, and a proof that we said so.
//!
//! It is signed so that nobody can choose an instance, or learn by trying which ones there are. It says nothing of where the
//! instance runs.

use ring::hmac;
use skylift_model::{AppName, Timestamp};

use crate::target::TargetId;

/// What this signature is for: the same key signs other things under other words.
const PURPOSE: &str = "skylift sticky 1";
/// The longest value that is looked at, in bytes.
const BYTES_MAX: usize = 256;

/// The key that cookies are signed with.
#[derive(Clone)]
pub struct StickyKey(hmac::Key);

/// A cookie that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsticky {
    #[error("it is no such cookie")]
    Form,
    #[error("it was not signed here for this app")]
    Signature,
    #[error("its time is over")]
    Expired,
}

impl StickyKey {
    /// From secret bytes, 32 or more.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The cookie's value: `target~time~signature`, all of it characters that a cookie may have.
    pub fn sign(&self, app: &AppName, target: &TargetId, until: Timestamp) -> String {
        let claim = format!("{target}~{}", until.as_millis());
        let tag = hmac::sign(&self.0, &signed(app, &claim));
        let mut value = claim;
        value.push('~');
        for byte in tag.as_ref() {
            value.push_str(&format!("{byte:02x}"));
        }
        value
    }

    /// The target of a cookie that was signed here, for this app, and is not over. Whether the target is still there is for the pick to say.
    ///
    /// # Errors
    /// [`Unsticky`]: the request is then picked for like any other.
    pub fn verify(&self, app: &AppName, value: &str, now: Timestamp) -> Result<TargetId, Unsticky> {
        if value.len() > BYTES_MAX {
            return Err(Unsticky::Form);
        }
        let (claim, tag) = value.rsplit_once('~').ok_or(Unsticky::Form)?;
        let tag = from_hex(tag).ok_or(Unsticky::Form)?;
        hmac::verify(&self.0, &signed(app, claim), &tag).map_err(|_| Unsticky::Signature)?;
        let (target, until) = claim.split_once('~').ok_or(Unsticky::Form)?;
        let until = until.parse().map(Timestamp::from_millis).map_err(|_| Unsticky::Form)?;
        if until <= now {
            return Err(Unsticky::Expired);
        }
        target.parse().map_err(|_| Unsticky::Form)
    }
}

/// Neither an app's name nor a claim has a zero byte, so no two of them read as one text.
fn signed(app: &AppName, claim: &str) -> Vec<u8> {
    format!("{PURPOSE}\0{}\0{claim}", app.as_str()).into_bytes()
}

/// Lower case only: one spelling for each value.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn cookie() -> (StickyKey, AppName, TargetId, String) {
        let (key, app, target) = (StickyKey::new(&[7; 32]), "board".parse().unwrap(), "i-1".parse().unwrap());
        let value = key.sign(&app, &target, at(1000));
        (key, app, target, value)
    }

    #[test]
    fn a_cookie_leads_back_to_its_target_until_its_time_is_over() {
        let (key, app, target, value) = cookie();
        assert_eq!(key.verify(&app, &value, at(999)), Ok(target));
        assert_eq!(key.verify(&app, &value, at(1000)), Err(Unsticky::Expired));
        assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)), "{value}");
    }

    #[test]
    fn a_cookie_of_another_app_or_key_says_nothing() {
        let (key, app, _, value) = cookie();
        assert_eq!(key.verify(&"other".parse().unwrap(), &value, at(0)), Err(Unsticky::Signature));
        assert_eq!(StickyKey::new(&[8; 32]).verify(&app, &value, at(0)), Err(Unsticky::Signature));
    }

    #[test]
    fn no_changed_bit_and_no_shorter_value_passes() {
        let (key, app, _, value) = cookie();
        for place in 0..value.len() {
            for bit in 0..7 {
                let mut changed = value.clone().into_bytes();
                changed[place] ^= 1 << bit;
                let changed = String::from_utf8(changed).unwrap();
                assert!(key.verify(&app, &changed, at(0)).is_err(), "{changed}");
            }
            assert!(key.verify(&app, &value[..place], at(0)).is_err());
        }
        assert!(key.verify(&app, &format!("{value}00"), at(0)).is_err());
        assert!(key.verify(&app, &value.to_uppercase(), at(0)).is_err());
    }

    #[test]
    fn a_signature_is_what_stops_a_chosen_target() {
        let (key, app, target, value) = cookie();
        let (claim, tag) = value.rsplit_once('~').unwrap();
        let chosen = claim.replace(target.as_str(), "i-2");
        assert_eq!(key.verify(&app, &format!("{chosen}~{tag}"), at(0)), Err(Unsticky::Signature));
        // With the key, which is the defence, the same claim passes.
        assert_eq!(
            key.verify(&app, &key.sign(&app, &"i-2".parse().unwrap(), at(1000)), at(0)).unwrap().as_str(),
            "i-2"
        );
    }
}
