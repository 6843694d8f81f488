//! How it is asked whether an instance still answers: `[health]` of `skylift.toml`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When an instance that was ready counts as unhealthy, and as healthy again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct HealthChecks {
    /// Between two checks, in seconds; 0 asks no more once it has answered.
    pub interval_seconds: u32,
    /// How long one may take, in seconds.
    pub timeout_seconds: u32,
    /// So many that fail in a row: it is asked nothing more, as far as enough others are left.
    pub unhealthy_threshold: u32,
    /// So many that pass in a row: it is asked again.
    pub healthy_threshold: u32,
    /// How long it may be unhealthy before another one takes its place, in seconds; 0 for ever.
    pub replace_seconds: u32,
}

impl Default for HealthChecks {
    fn default() -> Self {
        Self {
            interval_seconds: 5,
            timeout_seconds: 2,
            unhealthy_threshold: 3,
            healthy_threshold: 2,
            replace_seconds: 30,
        }
    }
}

/// What the checks of an instance so far say of it, which was ready at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Whether it is unhealthy.
    pub is_unhealthy: bool,
    /// So many checks in a row have said the opposite.
    against: u32,
}

impl Checked {
    /// It was waited for as long as all the checks take that make it unhealthy.
    #[must_use]
    pub fn after_all_failed(self) -> Self {
        Self { is_unhealthy: true, against: 0 }
    }

    /// What one more check makes of it.
    #[must_use]
    pub fn after(self, passed: bool, checks: &HealthChecks) -> Self {
        let Self { is_unhealthy, against } = self;
        if passed != is_unhealthy {
            return Self { is_unhealthy, against: 0 };
        }
        let needed = if is_unhealthy { checks.healthy_threshold } else { checks.unhealthy_threshold };
        match against + 1 >= needed {
            true => Self { is_unhealthy: !is_unhealthy, against: 0 },
            false => Self { is_unhealthy, against: against + 1 },
        }
    }
}

impl HealthChecks {
    /// How long an instance without a path of its own may take to answer anything: as long as the checks take of one with a path that hangs.
    /// Whoever is busy answers late, and is not to be replaced for that.
    pub fn patience(&self) -> Duration {
        let each = Duration::from_secs(u64::from(self.interval_seconds) + u64::from(self.timeout_seconds));
        each.saturating_mul(self.unhealthy_threshold.max(1))
    }

    /// Whether nothing differs from what is usual.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_row_turn_it_either_way() {
        let told = |passed: &[bool]| {
            let checks = HealthChecks::default();
            passed.iter().fold(Checked::default(), |checked, passed| checked.after(*passed, &checks)).is_unhealthy
        };
        let (yes, no) = (true, false);
        assert!(!told(&[no, no, yes, no, no]), "never three in a row");
        assert!(told(&[no, no, no]) && told(&[no, no, no, yes, no, yes]));
        assert!(!told(&[no, no, no, yes, yes]) && !told(&[no, no, no, yes, yes, no, no]));
        let checks = HealthChecks::default();
        let lost = Checked::default().after_all_failed();
        assert!(lost.is_unhealthy && lost.after(yes, &checks).is_unhealthy);
        assert!(!lost.after(yes, &checks).after(yes, &checks).is_unhealthy);
        assert_eq!(checks.patience(), Duration::from_secs(21));
    }
}
