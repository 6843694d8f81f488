//! What may be sent once more: only what cannot have had an effect, or may have its effect twice.

use http::Method;

use crate::settings::Retries;

/// One attempt that failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub method: &'a Method,
    pub failure: Failure,
    pub replay: Replay,
    /// How often the request was sent once more already.
    pub retried: u32,
}

/// How it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection; nothing of the request was sent.
    Connect,
    /// The connection ended before a byte of the request was written to it.
    Unsent,
    /// The other side said that it has not begun with it (HTTP/2 `REFUSED_STREAM`, or a stream above the last of `GOAWAY`).
    NotProcessed,
    /// The connection ended after something was sent and before anything of an answer was passed on.
    Reset,
    /// Its time is over, whatever was sent.
    TimedOut,
    /// Something of an answer was passed on.
    Answered,
}

/// Whether the body can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// There is none.
    Empty,
    /// All of it is kept, so many bytes.
    Kept(u64),
    /// It is gone where something of it was sent.
    Stream,
}

/// Why it is not sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRetry {
    #[error("it was sent once more already")]
    Again,
    #[error("an answer had begun")]
    Answered,
    #[error("its time is over")]
    TimedOut,
    #[error("it may have had an effect")]
    Effect,
    #[error("its body is not kept")]
    Body,
    #[error("too many requests are sent once more")]
    Budget,
}

/// Decides by the request alone; [`RetryBudget`](crate::RetryBudget) decides by how many there are. Another target has to be asked
/// ([`Ask::tried`](crate::Ask)).
///
/// # Errors
/// Why not.
pub fn may_retry(attempt: &Attempt<'_>, rules: &Retries) -> Result<(), NoRetry> {
    if attempt.retried > 0 {
        return Err(NoRetry::Again);
    }
    match attempt.failure {
        Failure::Answered => Err(NoRetry::Answered),
        Failure::TimedOut => Err(NoRetry::TimedOut),
        Failure::Connect | Failure::Unsent => Ok(()),
        Failure::NotProcessed => attempt.replay.is_possible(rules),
        Failure::Reset if attempt.method.is_idempotent() => attempt.replay.is_possible(rules),
        Failure::Reset => Err(NoRetry::Effect),
    }
}

impl Replay {
    fn is_possible(self, rules: &Retries) -> Result<(), NoRetry> {
        match self {
            Self::Empty => Ok(()),
            Self::Kept(bytes) if bytes <= rules.replay_bytes_max => Ok(()),
            Self::Kept(_) | Self::Stream => Err(NoRetry::Body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHODS: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
        Method::POST,
        Method::PATCH,
        Method::CONNECT,
    ];
    const FAILURES: [Failure; 6] = [
        Failure::Connect,
        Failure::Unsent,
        Failure::NotProcessed,
        Failure::Reset,
        Failure::TimedOut,
        Failure::Answered,
    ];
    const REPLAYS: [Replay; 4] = [Replay::Empty, Replay::Kept(65_536), Replay::Kept(65_537), Replay::Stream];

    fn check(method: &Method, failure: Failure, replay: Replay, retried: u32) -> Result<(), NoRetry> {
        may_retry(&Attempt { method, failure, replay, retried }, &Retries::default())
    }

    #[test]
    fn a_post_that_was_sent_is_never_sent_again() {
        for replay in REPLAYS {
            for method in [Method::POST, Method::PATCH, Method::CONNECT, Method::from_bytes(b"MKCOL").unwrap()] {
                assert_eq!(check(&method, Failure::Reset, replay, 0), Err(NoRetry::Effect), "{method} {replay:?}");
            }
        }
    }

    #[test]
    fn what_never_left_is_sent_once_more_whatever_it_is() {
        for (method, replay) in METHODS.iter().flat_map(|method| REPLAYS.map(|replay| (method, replay))) {
            assert_eq!(check(method, Failure::Connect, replay, 0), Ok(()));
            assert_eq!(check(method, Failure::Unsent, replay, 0), Ok(()));
        }
    }

    #[test]
    fn of_all_cases_exactly_these_are_sent_once_more() {
        let mut allowed = 0;
        for (method, failure, replay) in METHODS
            .iter()
            .flat_map(|method| FAILURES.map(|failure| (method, failure)))
            .flat_map(|(method, failure)| REPLAYS.map(|replay| (method, failure, replay)))
        {
            allowed += usize::from(check(method, failure, replay, 0).is_ok());
            assert_eq!(check(method, failure, replay, 1), Err(NoRetry::Again));
        }
        // Nothing sent: 9 methods × 2 × 4 bodies; not processed: 9 × 2 bodies; reset: 6 idempotent methods × 2 bodies.
        assert_eq!(allowed, 72 + 18 + 12);
    }
}
