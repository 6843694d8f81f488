//! Every number of the balancer and its default. Where each comes from: docs/balancing.md.

use std::time::Duration;

/// How the targets of one app are treated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub limits: Limits,
    pub checks: Checks,
    pub ejection: Ejection,
    pub parking: Parking,
    pub retries: Retries,
    /// How long the share of a new target grows; `None` for none of that.
    pub slow_start: Option<Duration>,
}

/// Requests that one target has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From here on others are preferred; `None` for no such point.
    pub soft: Option<u32>,
    /// More are never given to it.
    pub hard: u32,
}

/// Active checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Between two checks, a tenth more or less.
    pub every: Duration,
    /// Between two checks of a target that has never passed one.
    pub every_while_starting: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Passes in a row that make an unhealthy target healthy. A starting one needs one.
    pub rise: u16,
    /// Failures in a row that make a healthy target unhealthy.
    pub fall: u16,
}

/// Passive ejection: what answers say of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row that eject. A refused connection does at once.
    pub failures: u32,
    /// How long the first ejection lasts; the nth lasts n times as long.
    pub base: Duration,
    /// The longest ejection; and how long a target has to stay in for its ejections to be forgotten.
    pub longest: Duration,
    /// How many of the targets may be out, in percent. The last one never is.
    pub percent_max: u8,
    /// Below so many available targets, in percent, all are used.
    pub fail_open_percent: u8,
    /// A failure counts as an answer that took at least so long: failing fast must not look like being fast.
    pub failure_latency: Duration,
    /// How long a target that owes answers may say nothing while others answer, at least.
    pub silent_after: Duration,
    /// And how many times as long as its answers take.
    pub silent_factor: u32,
}

/// Requests that wait while no target can take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parking {
    /// How many, for each ready target, while all are full.
    pub per_target: usize,
    /// How long then.
    pub wait: Duration,
    /// How many while no target is ready.
    pub while_none: usize,
    /// How long then.
    pub wait_while_none: Duration,
    /// How long a request waits for the end of the targets that have failed it, where there are no others.
    pub wait_for_gone: Duration,
}

/// Requests that are sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How many for 100 requests of the last two windows.
    pub percent: u32,
    /// The length of a window.
    pub window: Duration,
    /// How many are allowed in two windows, however few the requests.
    pub reserve: u32,
    /// The largest body, in bytes, that is kept to be sent again.
    pub replay_bytes_max: u64,
}

impl Settings {
    pub(crate) fn slow_start_nanos(&self) -> Option<u64> {
        self.slow_start.map(nanos)
    }
}

/// A duration in nanoseconds; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Limits {
    fn default() -> Self {
        Self { soft: None, hard: 1024 }
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            every_while_starting: Duration::from_millis(250),
            timeout: Duration::from_secs(2),
            rise: 2,
            fall: 3,
        }
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 5,
            base: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            percent_max: 50,
            fail_open_percent: 50,
            failure_latency: Duration::from_secs(1),
            silent_after: Duration::from_millis(500),
            silent_factor: 3,
        }
    }
}

impl Default for Parking {
    fn default() -> Self {
        Self {
            per_target: 100,
            wait: Duration::from_secs(10),
            while_none: 1000,
            wait_while_none: Duration::from_secs(30),
            wait_for_gone: Duration::from_secs(2),
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { percent: 20, window: Duration::from_secs(10), reserve: 100, replay_bytes_max: 64 * 1024 }
    }
}
