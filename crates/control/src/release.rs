//! The release command of a deployment that is about to go live: to a good end once, before its first instance. Pure.
//!
//! At least once: one that was cut off with its platform is run again. A rollback runs none, since what it makes live has
//! been released.

use skylift_model::InstanceState;
use skylift_model::program::RELEASE;
use skylift_store::{Changes, Fleet, InstanceRow, NewBeside};

/// How far the release command is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// There is none, or it has come to a good end.
    Done,
    /// It runs, or is about to.
    Running,
    /// It failed, in words.
    Failed(String),
}

/// Plans release commands; one that is to run runs on `node`. Without a node there is nothing to wait for: the rollout says why.
pub fn plan(fleet: &Fleet, node: Option<&str>) -> (Release, Changes) {
    let due = fleet.next.as_ref().filter(|_| fleet.beside.release_is_due);
    let (ours, others): (Vec<_>, Vec<_>) = fleet
        .beside
        .instances
        .iter()
        .filter(|row| row.process == RELEASE)
        .partition(|row| due.is_some_and(|due| row.deployment == *due));
    // Of a deployment that was cancelled.
    let stop = others.into_iter().filter(|row| is_up(row)).map(|row| row.id.clone()).collect();
    let mut changes = Changes { stop, ..Changes::default() };
    let (Some(due), Some(node)) = (due, node) else { return (Release::Done, changes) };
    if !ours.is_empty() {
        return (Release::Running, changes);
    }
    let failed = fleet.beside.crashes.iter().find(|(process, crash)| process == RELEASE && crash.deployment == *due);
    if let Some((_, crash)) = failed {
        return (Release::Failed(crash.reason.clone()), changes);
    }
    let (deployment, process, node) = (due.clone(), RELEASE.to_owned(), node.to_owned());
    changes.start_beside.push(NewBeside { deployment, process, node });
    (Release::Running, changes)
}

/// Whether an instance is there and was not told to stop.
pub(crate) fn is_up(row: &InstanceRow) -> bool {
    matches!(row.state, InstanceState::Starting | InstanceState::Ready | InstanceState::Draining)
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;
    use skylift_store::{Beside, Crash};

    use super::*;
    use crate::in_memory::{self, deployment, instance};

    const NODE: Option<&str> = Some("n");

    fn rolling_out() -> Fleet {
        Fleet { beside: Beside { release_is_due: true, ..Beside::default() }, ..in_memory::fleet(Some(1), Some(2), 1) }
    }

    fn row(of: i64, process: &str, state: InstanceState) -> InstanceRow {
        InstanceRow { serves: false, process: process.to_owned(), ..instance(1, &deployment(of), state) }
    }

    #[test]
    fn it_is_started_once_and_waited_for() {
        let mut fleet = rolling_out();
        let (release, changes) = plan(&fleet, NODE);
        assert_eq!(release, Release::Running);
        let started = &changes.start_beside;
        assert!(started.len() == 1 && started[0].deployment == deployment(2) && started[0].process == RELEASE);
        for state in [InstanceState::Starting, InstanceState::Ready, InstanceState::Stopping] {
            fleet.beside.instances = vec![row(2, RELEASE, state)];
            assert_eq!(plan(&fleet, NODE), (Release::Running, Changes::default()), "{state}");
        }
        fleet.beside.instances.clear();
        assert_eq!(plan(&fleet, NODE).1.start_beside.len(), 1, "cut off without a word, it is run again");
        fleet.beside.release_is_due = false;
        assert_eq!(plan(&fleet, NODE), (Release::Done, Changes::default()));
    }

    #[test]
    fn its_failure_is_told_and_it_is_not_run_again() {
        let mut fleet = rolling_out();
        let crash = |of| Crash { deployment: deployment(of), at: Timestamp::from_millis(9), reason: "no".to_owned() };
        fleet.beside.crashes = vec![("worker".to_owned(), crash(2)), (RELEASE.to_owned(), crash(1))];
        assert_eq!(plan(&fleet, NODE).0, Release::Running, "neither another process nor another deployment counts");
        fleet.beside.crashes.push((RELEASE.to_owned(), crash(2)));
        assert_eq!(plan(&fleet, NODE), (Release::Failed("no".to_owned()), Changes::default()));
    }

    #[test]
    fn one_of_a_deployment_that_was_cancelled_is_stopped_once_and_others_are_left_alone() {
        let mut fleet = rolling_out();
        fleet.next = None;
        fleet.beside.instances = vec![
            row(2, RELEASE, InstanceState::Ready),
            row(3, RELEASE, InstanceState::Stopping),
            row(2, "worker", InstanceState::Ready),
        ];
        let (release, changes) = plan(&fleet, NODE);
        assert_eq!((release, changes.stop), (Release::Done, vec![fleet.beside.instances[0].id.clone()]));
    }

    #[test]
    fn without_a_node_nothing_is_waited_for() {
        assert_eq!(plan(&rolling_out(), None), (Release::Done, Changes::default()));
    }
}
