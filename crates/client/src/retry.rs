//! When a request that had no result is sent again, and after how long.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::ClientError;

/// How long to wait before each repetition of a request whose connection failed.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// The longest wait that a server is granted; who asks for more gets no repetition.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why one attempt had no result.
pub(crate) struct Failed {
    pub(crate) error: ClientError,
    /// When the server wants to be asked again, where it said so.
    pub(crate) retry_after: Option<Duration>,
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Self { error, retry_after: None }
    }
}

impl Failed {
    /// How long to wait before the request is sent again after its `attempt`th failure, from 0; `None`: not again.
    pub(crate) fn pause(&self, attempt: usize) -> Option<Duration> {
        let own = *PAUSES.get(attempt)?;
        match self.retry_after {
            Some(asked) => (asked <= PATIENCE).then(|| asked.max(own)),
            None => self.error.is_connection().then_some(own),
        }
    }
}

/// What an answer says about being asked again. Only where it says "not now", and only in seconds: a date would be
/// measured with two clocks.
pub(crate) fn asked_for(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(retry_after: Option<u64>, is_connection: bool) -> [Option<u64>; 3] {
        let url = String::new();
        let error = match is_connection {
            true => ClientError::TimedOut { url, seconds: 1 },
            false => ClientError::Protocol { url, what: String::new() },
        };
        let failed = Failed { error, retry_after: retry_after.map(Duration::from_secs) };
        [0, 1, 2].map(|attempt| failed.pause(attempt).map(|pause| u64::try_from(pause.as_millis()).unwrap()))
    }

    #[test]
    fn a_server_is_asked_again_when_it_says_within_bounds() {
        assert_eq!(pauses(None, true), [Some(100), Some(400), None]);
        assert_eq!(pauses(None, false), [None, None, None]);
        assert_eq!(pauses(Some(3), false), [Some(3000), Some(3000), None]);
        assert_eq!(pauses(Some(0), true), [Some(100), Some(400), None], "never at once");
        assert_eq!(pauses(Some(21), true), [None, None, None], "not for longer than anybody waits");
    }

    #[test]
    fn only_not_now_with_a_number_of_seconds_counts() {
        let asked = |status: u16, value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(value))]);
            asked_for(StatusCode::from_u16(status).unwrap(), &headers).map(|after| after.as_secs())
        };
        assert_eq!((asked(503, "2"), asked(429, " 7 ")), (Some(2), Some(7)));
        assert_eq!((asked(500, "2"), asked(409, "2"), asked(503, "-1")), (None, None, None));
        assert_eq!(asked(503, "Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
