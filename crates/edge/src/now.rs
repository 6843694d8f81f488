//! The time, as each thread last knew it: a reading of the monotonic clock, and what the wall clock says for it.
//!
//! The texts that every answer and every line of the log need are made once a second.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use skylift_model::{Clock, Timestamp};

/// How long the wall clock is followed by the monotonic one before it is read again.
const FOLLOWED: Duration = Duration::from_millis(500);

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    /// Milliseconds since the Unix epoch.
    pub(crate) unix_ms: u64,
}

/// The texts of one second.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    second: u64,
    /// As in the header `Date`.
    pub(crate) date: String,
    /// RFC 3339 up to the seconds: `2026-01-02T03:04:05`.
    pub(crate) rfc3339: String,
}

struct Known {
    read_at: Instant,
    unix_ms: u64,
    texts: Texts,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::new(Known::read(Instant::now()));
}

/// The present moment.
pub(crate) fn now() -> Moment {
    let instant = Instant::now();
    let unix_ms = KNOWN.with_borrow_mut(|known| {
        let mut since = instant.saturating_duration_since(known.read_at);
        if since >= FOLLOWED {
            (known.read_at, known.unix_ms) = (instant, wall_ms());
            since = Duration::ZERO;
        }
        known.unix_ms + u64::try_from(since.as_millis()).unwrap_or(0)
    });
    Moment { instant, unix_ms }
}

/// The wall clock as this edge knows it.
pub(crate) fn clock() -> Clock {
    Clock::new(|| now().timestamp())
}

/// What `use_texts` makes of the texts of a moment.
pub(crate) fn with_texts<T>(moment: Moment, use_texts: impl FnOnce(&Texts) -> T) -> T {
    KNOWN.with_borrow_mut(|known| {
        let second = moment.unix_ms / 1000;
        if known.texts.second != second {
            known.texts = Texts::of(second);
        }
        use_texts(&known.texts)
    })
}

impl Moment {
    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.unix_ms).unwrap_or(i64::MAX))
    }
}

impl Known {
    fn read(instant: Instant) -> Self {
        let unix_ms = wall_ms();
        Self { read_at: instant, unix_ms, texts: Texts::of(unix_ms / 1000) }
    }
}

impl Texts {
    fn of(second: u64) -> Self {
        let moment = Moment { instant: Instant::now(), unix_ms: second * 1000 };
        let mut rfc3339 = moment.timestamp().to_string();
        rfc3339.truncate("2026-01-02T03:04:05".len());
        Self { second, date: httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second)), rfc3339 }
    }
}

fn wall_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_their_moment() {
        let moment = Moment { instant: Instant::now(), unix_ms: 784_111_777_123 };
        with_texts(moment, |texts| {
            assert_eq!(texts.date, "Sun, 06 Nov 1994 08:49:37 GMT");
            assert_eq!(texts.rfc3339, "1994-11-06T08:49:37");
        });
        with_texts(now(), |texts| assert!(texts.rfc3339.as_str() > "2026"));
    }

    #[test]
    fn both_clocks_go_on_together() {
        let (first, second) = (now(), now());
        assert!(second.instant >= first.instant && second.unix_ms >= first.unix_ms);
        assert!(first.unix_ms.abs_diff(wall_ms()) < 60_000);
    }
}
