//! For how long an answer may be used without asking again (RFC 9111, 4.2).

use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::Millis;
use crate::date::date_of;
use crate::directives::Directives;

/// `Cache-Control` for caches like this one alone (RFC 9213).
pub(crate) const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Of the time since it last changed, how much an answer that says nothing is taken to be good for; and at most.
const GUESS_DIVISOR: u64 = 10;
const GUESS_MAX: Millis = 24 * 3600 * 1000;

/// Statuses whose answers may be kept although they do not say for how long (RFC 9110, 15.1).
const GUESSED: [u16; 11] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];

/// How fresh an answer is, from what it said when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// When it came.
    received: Millis,
    /// How old it was then.
    initial_age: Millis,
    pub(crate) lifetime: Millis,
    /// For how long after that it may be used while it is asked for anew.
    pub(crate) while_refreshed: Option<Millis>,
    /// The same where the other host fails.
    pub(crate) on_error: Option<Millis>,
    /// It may never be used beyond its lifetime.
    pub(crate) never_stale: bool,
    /// It has to be asked for each time.
    pub(crate) always_ask: bool,
}

/// What an answer says of being kept: to caches like this one, else to all.
pub(crate) fn directives_of(answer: &HeaderMap) -> (Directives, bool) {
    match answer.contains_key(CDN_CACHE_CONTROL) {
        true => (Directives::read(answer, &CDN_CACHE_CONTROL), true),
        false => (Directives::read(answer, &CACHE_CONTROL), false),
    }
}

/// Whether an answer says for how long it is good.
pub(crate) fn is_explicit(answer: &HeaderMap) -> bool {
    let (directives, _) = directives_of(answer);
    directives.max_age.is_some() || directives.s_maxage.is_some() || answer.contains_key(EXPIRES)
}

/// Whether an answer with this status may be kept without saying for how long.
pub(crate) fn is_guessed(status: StatusCode) -> bool {
    GUESSED.contains(&status.as_u16())
}

impl Freshness {
    /// Of an answer to a request sent at `asked`, which came at `received`.
    pub(crate) fn of(status: StatusCode, answer: &HeaderMap, asked: Millis, received: Millis) -> Self {
        let (directives, targeted) = directives_of(answer);
        let date = date_of(answer, &DATE).unwrap_or(received);
        let lifetime = match (directives.s_maxage, directives.max_age) {
            (Some(seconds), _) | (None, Some(seconds)) => seconds * 1000,
            (None, None) if targeted => 0,
            (None, None) if answer.contains_key(EXPIRES) => {
                // One that is no date is long past.
                date_of(answer, &EXPIRES).map_or(0, |expires| expires.saturating_sub(date))
            }
            (None, None) if is_guessed(status) || directives.public => {
                let changed = date_of(answer, &LAST_MODIFIED);
                changed.map_or(0, |changed| (date.saturating_sub(changed) / GUESS_DIVISOR).min(GUESS_MAX))
            }
            (None, None) => 0,
        };
        let apparent = received.saturating_sub(date);
        let said = said_age(answer).saturating_add(received.saturating_sub(asked));
        Self {
            received,
            initial_age: apparent.max(said),
            lifetime,
            while_refreshed: directives.stale_while_revalidate.map(|seconds| seconds * 1000),
            on_error: directives.stale_if_error.map(|seconds| seconds * 1000),
            never_stale: directives.must_revalidate || directives.proxy_revalidate || directives.s_maxage.is_some(),
            always_ask: directives.no_cache,
        }
    }

    pub(crate) fn age(&self, now: Millis) -> Millis {
        self.initial_age.saturating_add(now.saturating_sub(self.received))
    }

    /// How long ago it stopped being fresh.
    pub(crate) fn lateness(&self, now: Millis) -> Millis {
        self.age(now).saturating_sub(self.lifetime)
    }

    pub(crate) fn is_fresh(&self, now: Millis) -> bool {
        self.age(now) < self.lifetime
    }
}

/// What `Age` says; one that cannot be read is older than anything.
fn said_age(answer: &HeaderMap) -> Millis {
    let mut values = answer.get_all(AGE).iter();
    let Some(value) = values.next() else { return 0 };
    let text = value.to_str().unwrap_or_default().trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || values.next().is_some() {
        return Millis::MAX / 2;
    }
    text.parse::<u64>().map_or(Millis::MAX / 2, |seconds| seconds.saturating_mul(1000))
}
