//! Visitors who stay with the instance that answered them first, where their app wants that: a cookie names it.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use skylift_balance::{StickyKey, TargetId};
use skylift_model::{AppName, Timestamp};

use super::Gateway;
use crate::access::{Arrival, Led};
use crate::clients::Scheme;

/// The cookie's name.
const COOKIE_NAME: &str = "skylift-instance";
/// For how long it is honoured: an instance rarely lives longer.
const KEPT_S: i64 = 24 * 60 * 60;

/// Keeps the visitor of one request.
pub(super) struct Keeper<'g> {
    key: &'g StickyKey,
    app: &'g AppName,
    now: Timestamp,
    scheme: Scheme,
}

impl Gateway {
    /// `None` where visitors are not kept.
    pub(super) fn keeper<'g>(&'g self, led: &'g Led, arrival: &Arrival) -> Option<Keeper<'g>> {
        let route = led.route.as_ref()?;
        route.target.as_ref().filter(|target| target.sticky)?;
        let now = Timestamp::from_millis(i64::try_from(arrival.started.unix_ms).unwrap_or(i64::MAX));
        Some(Keeper { key: self.sticky_key.get()?, app: &route.app, now, scheme: arrival.scheme })
    }
}

impl Keeper<'_> {
    /// Who answered this client before. Cookies that were not signed here for this app, or are too old, say nothing.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<TargetId> {
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value);
        values.find_map(|value| self.key.verify(self.app, value, self.now).ok())
    }

    /// The cookie for a client whom this instance has answered; `None` where it has that.
    pub(super) fn keep(&self, answered_by: &TargetId, known: Option<&TargetId>) -> Option<HeaderValue> {
        if known == Some(answered_by) {
            return None;
        }
        let until = Timestamp::from_millis(self.now.as_millis().saturating_add(KEPT_S * 1000));
        let value = self.key.sign(self.app, answered_by, until);
        let secure = if self.scheme == Scheme::Https { "; Secure" } else { "" };
        let cookie = format!("{COOKIE_NAME}={value}; Path=/; Max-Age={KEPT_S}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(cookie).ok()
    }
}
