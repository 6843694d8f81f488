//! When an instance that listens on another port than PORT is given up. Pure.
//!
//! Some open a port for their metrics first and take a while to load what they need: they use the processor, and are waited for.

use std::time::{Duration, Instant};

use super::probe::Unmet;

/// For how long it must have listened elsewhere with nothing to do.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);
/// Who uses less of a processor than a tenth in that time has nothing to do.
const IDLE_SHARE: u32 = 10;

/// What was seen of where an instance listens.
#[derive(Clone, Debug, Default)]
pub(super) struct Astray(Option<Since>);

#[derive(Clone, Debug)]
struct Since {
    at: Instant,
    unmet: Unmet,
    cpu_us: u64,
}

impl Astray {
    /// Takes in how it did not answer, and what it has used of processors since its start; whether to give it up.
    pub(super) fn is_given_up(&mut self, unmet: &Unmet, cpu_us: Option<u64>, now: Instant) -> bool {
        let (true, Some(cpu_us)) = (matches!(unmet, Unmet::Elsewhere { .. }), cpu_us) else {
            self.0 = None;
            return false;
        };
        let allowed_us = (GIVEN_UP_AFTER / IDLE_SHARE).as_micros();
        let is_same =
            |since: &Since| since.unmet == *unmet && u128::from(cpu_us.saturating_sub(since.cpu_us)) < allowed_us;
        match self.0.as_ref().filter(|since| is_same(since)) {
            Some(since) => now.saturating_duration_since(since.at) >= GIVEN_UP_AFTER,
            None => {
                self.0 = Some(Since { at: now, unmet: unmet.clone(), cpu_us });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(ports: &str) -> Unmet {
        Unmet::Elsewhere { own: 8080, ports: ports.to_owned() }
    }

    /// When it is given up of what is seen each second: how it did not answer, and how many milliseconds of processor it used.
    fn given_up(seen: impl Fn(u64) -> (Unmet, Option<u64>)) -> Option<u64> {
        let (mut astray, began) = (Astray::default(), Instant::now());
        (0..60).find(|second| {
            let (unmet, cpu_ms) = seen(*second);
            astray.is_given_up(&unmet, cpu_ms.map(|ms| ms * 1000), began + Duration::from_secs(*second))
        })
    }

    #[test]
    fn who_listens_elsewhere_and_has_nothing_to_do_is_given_up_and_nobody_else() {
        assert_eq!(given_up(|second| (on("3000"), Some(300 + second * 20))), Some(10));
        assert_eq!(given_up(|second| (on("9100"), Some(second * 900))), None, "it loads something");
        assert_eq!(given_up(|second| (on("9100"), Some(second.min(20) * 900))), Some(30), "and then does not");
        assert_eq!(given_up(|second| (on(if second < 7 { "3000" } else { "3000, 3001" }), Some(0))), Some(17));
        assert_eq!(given_up(|_| (on("3000"), None)), None, "nobody knows what it does");
        assert_eq!(given_up(|_| (Unmet::Connection, Some(0))), None, "it listens nowhere");
        let now_and_then = |second: u64| if second.is_multiple_of(5) { Unmet::NoHttp } else { on("3000") };
        assert_eq!(given_up(|second| (now_and_then(second), Some(0))), None, "it answers on PORT at times");
    }
}
