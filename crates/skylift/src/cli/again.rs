//! When a server that refused something for now may be asked again, for people.

use std::time::Duration;

use skylift_model::Timestamp;
use skylift_model::wire::{Code, ErrorBody};

use super::quantity::span;

const MINUTE_S: u64 = 60;
const DAY_S: u64 = 86_400;
/// Clocks of two machines are as far apart without anybody minding: midnight and a second is midnight.
const SLACK_S: u64 = 5;
/// How the API names the header, which a command line does not show.
const HEADER: &str = "`Retry-After`";

/// What a refusal's hint says, and when to come back where that is known.
pub(super) fn hint(body: &ErrorBody, now: Timestamp) -> String {
    let Some(seconds) = body.retry_after_s.filter(|_| body.code == Code::RateLimited) else { return body.hint.clone() };
    let when = format!("try again in {}", when(seconds, now));
    if body.hint.is_empty() || body.hint.contains(HEADER) { when } else { format!("{}; {when}", body.hint) }
}

/// Such as `7 s`, or `3 h 12 min, at 00:00 UTC`.
fn when(seconds: u64, now: Timestamp) -> String {
    let wait = span(Duration::from_secs(seconds));
    if seconds < MINUTE_S {
        return wait;
    }
    // Up to whole minutes: not too early by a few seconds.
    let now_s = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
    let minutes = now_s.saturating_add(seconds).saturating_sub(SLACK_S).div_ceil(MINUTE_S);
    let (hours, minute) = (minutes / 60 % 24, minutes % 60);
    let day = if seconds < DAY_S { "" } else { " another day" };
    format!("{wait}, at {hours:02}:{minute:02} UTC{day}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20:48:00 UTC.
    const NOW: Timestamp = Timestamp::from_millis(86_400_000 * 20_000 + 74_880_000);

    #[test]
    fn a_time_to_come_back_is_told_as_a_span_and_by_the_clock() {
        for (seconds, told) in [
            (1, "1 s"),
            (59, "59 s"),
            (11_520, "3 h 12 min, at 00:00 UTC"),
            (11_521, "3 h 12 min, at 00:00 UTC"),
            (90, "1 min 30 s, at 20:50 UTC"),
            (180_000, "2 d 2 h, at 22:48 UTC another day"),
        ] {
            assert_eq!(when(seconds, NOW), told);
        }
        assert!(when(u64::MAX, NOW).contains("UTC"), "no number is too large");
    }

    #[test]
    fn it_takes_the_place_of_a_header_that_nobody_sees() {
        let refusal = |code, hint: &str, retry_after_s| {
            hint_of(&ErrorBody { code, message: String::new(), hint: hint.to_owned(), retry_after_s })
        };
        fn hint_of(body: &ErrorBody) -> String {
            hint(body, NOW)
        }
        let header = "wait as long as `Retry-After` says";
        assert_eq!(refusal(Code::RateLimited, header, Some(3)), "try again in 3 s");
        assert_eq!(refusal(Code::RateLimited, "wait for one to end", Some(1)), "wait for one to end; try again in 1 s");
        assert_eq!(refusal(Code::RateLimited, header, None), header, "an older server says nothing more");
        assert_eq!(refusal(Code::Unavailable, "it is away", Some(1)), "it is away");
    }
}
