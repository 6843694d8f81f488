//! Which workers go, and how: a job is never lost with its worker.
//!
//! ```text
//! serves ──▶ drains: receives nothing, finishes what it holds ──▶ ends
//!               │ wanted again: serves                     ▲
//!               └─ for too long: gives back what it holds ─┘
//! ```
//!
//! Pure, as [`decide`](crate::decide): who is there and how many there should be go in, what to do comes out. Who does it does it again until
//! it is seen.

use serde::Serialize;

/// A worker that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// What it is called.
    pub id: String,
    /// Whether it still starts.
    pub is_starting: bool,
    /// Jobs that it holds, as far as it is known; a job that is held and not known of is kept by its lease.
    pub holds: u32,
    /// When it was started, in milliseconds of any clock.
    pub started_ms: u64,
    /// Since when it drains, if it does.
    pub drains_since_ms: Option<u64>,
}

/// What is to be done with a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retire {
    /// Have it receive nothing more, and finish what it holds.
    Drain(String),
    /// Have it receive again: it is wanted after all.
    Resume(String),
    /// Have it return what it holds, visible at once, since it takes too long: others take it.
    GiveBack(String),
    /// End it: it receives nothing and holds nothing.
    End(String),
}

/// What to do so that `desired` workers serve. Whoever drains for `grace_ms` gives back what it holds.
#[must_use]
pub fn plan_retire(workers: &[Worker], desired: u32, now_ms: u64, grace_ms: u64) -> Vec<Retire> {
    let (mut serving, mut draining): (Vec<&Worker>, Vec<&Worker>) =
        workers.iter().partition(|worker| worker.drains_since_ms.is_none());
    let desired = desired as usize;
    // Whoever starts serves nobody yet; then whoever holds least, the newest of those.
    serving.sort_by_key(|worker| (worker.is_starting, std::cmp::Reverse(worker.holds), worker.started_ms));
    // What drains for the shortest time holds most: it is the first to serve again.
    draining.sort_by_key(|worker| std::cmp::Reverse(worker.drains_since_ms));
    let back = desired.saturating_sub(serving.len()).min(draining.len());
    let (resumed, leaving) = draining.split_at(back);
    let mut plan: Vec<Retire> = resumed.iter().map(|worker| Retire::Resume(worker.id.clone())).collect();
    plan.extend(serving.iter().skip(desired).map(|worker| Retire::Drain(worker.id.clone())));
    plan.extend(leaving.iter().filter_map(|worker| {
        let for_ms = now_ms.saturating_sub(worker.drains_since_ms?);
        match worker.holds {
            0 => Some(Retire::End(worker.id.clone())),
            _ if for_ms >= grace_ms => Some(Retire::GiveBack(worker.id.clone())),
            _ => None,
        }
    }));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(id: &str, holds: u32, started_ms: u64, drains_since_ms: Option<u64>) -> Worker {
        Worker { id: id.into(), is_starting: false, holds, started_ms, drains_since_ms }
    }

    fn plan(workers: &[Worker], desired: u32) -> Vec<String> {
        let words = |step| match step {
            Retire::Drain(id) => format!("drain {id}"),
            Retire::Resume(id) => format!("resume {id}"),
            Retire::GiveBack(id) => format!("give back {id}"),
            Retire::End(id) => format!("end {id}"),
        };
        plan_retire(workers, desired, 100_000, 15_000).into_iter().map(words).collect()
    }

    #[test]
    fn who_starts_goes_first_then_the_idle_and_the_newest_of_those() {
        let mut workers = vec![worker("old", 0, 1, None), worker("busy", 2, 2, None), worker("new", 0, 3, None)];
        workers.push(Worker { is_starting: true, ..worker("boots", 0, 4, None) });
        assert_eq!(plan(&workers, 4), [""; 0]);
        assert_eq!(plan(&workers, 3), ["drain boots"]);
        assert_eq!(plan(&workers, 1), ["drain old", "drain new", "drain boots"], "who holds a job stays");
    }

    #[test]
    fn a_worker_drains_before_it_ends_and_finishes_what_it_holds() {
        let workers = |holds, since| [worker("a", 1, 1, None), worker("b", holds, 2, since)];
        assert_eq!(plan(&workers(0, None), 1), ["drain b"], "it may have received something meanwhile");
        assert_eq!(plan(&workers(1, Some(90_000)), 1), [""; 0]);
        assert_eq!(plan(&workers(1, Some(85_000)), 1), ["give back b"]);
        assert_eq!(plan(&workers(0, Some(90_000)), 1), ["end b"]);
        assert_eq!(plan(&workers(1, Some(90_000)), 2), ["resume b"]);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_back_early() {
        assert_eq!(plan(&[worker("a", 1, 1, Some(200_000))], 0), [""; 0]);
    }
}
