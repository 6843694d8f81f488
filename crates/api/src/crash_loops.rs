//! Which processes of an app end again and again. Pure.

use std::collections::BTreeMap;

use skylift_model::program::RELEASE;
use skylift_model::restart::{Backoff, ENDS_COUNT_FOR, is_crash_loop};
use skylift_model::wire::CrashLoop;
use skylift_model::{DeploymentId, InstanceState, Timestamp};
use skylift_store::InstanceRow;

/// Those of what is live.
pub(crate) fn crash_loops(live: Option<&DeploymentId>, rows: &[InstanceRow], now: Timestamp) -> Vec<CrashLoop> {
    let Some(live) = live else { return Vec::new() };
    let mut by_process: BTreeMap<&str, Vec<(Timestamp, &str)>> = BTreeMap::new();
    let mut ready: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.deployment == *live && row.process != RELEASE && row.command.is_none()) {
        if let (InstanceState::Ready, Some(since)) = (row.state, row.ready_at) {
            ready.entry(&row.process).or_default().push(since);
        }
        if let (InstanceState::Ended, Some(at), Some(reason)) = (row.state, row.ended_at, &row.reason)
            && now.since(at) < ENDS_COUNT_FOR
        {
            by_process.entry(&row.process).or_default().push((at, reason));
        }
    }
    let ready = |process| ready.get(process).map(Vec::as_slice).unwrap_or_default();
    by_process
        .into_iter()
        .filter_map(|(process, ends)| crash_loop((process, live), ends, ready(process), now))
        .collect()
}

fn crash_loop(
    (process, live): (&str, &DeploymentId),
    mut ends: Vec<(Timestamp, &str)>,
    ready: &[Timestamp],
    now: Timestamp,
) -> Option<CrashLoop> {
    ends.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let times: Vec<Timestamp> = ends.iter().map(|(at, _)| *at).collect();
    let (last_at, reason) = *ends.first()?;
    is_crash_loop(&times, ready, now).then(|| CrashLoop {
        process: process.to_owned(),
        deployment: live.clone(),
        ends: u32::try_from(ends.len()).unwrap_or(u32::MAX),
        reason: reason.to_owned(),
        last_at,
        next_start_at: Backoff::default().next_start(times).filter(|at| *at > now),
    })
}

#[cfg(test)]
mod tests {
    use skylift_model::InstanceId;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn ended(process: &str, of: i64, seconds: i64) -> InstanceRow {
        InstanceRow {
            id: InstanceId::new(at(seconds), 1),
            app: "shop".parse().unwrap(),
            deployment: DeploymentId::new(at(of), 0),
            node: "n".to_owned(),
            state: InstanceState::Ended,
            serves: false,
            process: process.to_owned(),
            created_at: at(1),
            ready_at: None,
            ended_at: Some(at(seconds)),
            reason: Some(format!("exited with code {seconds}")),
            exit_code: None,
            command: None,
            template: None,
            unhealthy_since: None,
        }
    }

    #[test]
    fn the_last_reason_and_the_next_start_are_told_of_what_is_live() {
        let mut rows: Vec<_> = [100, 101, 103].map(|seconds| ended("web", 1, seconds)).into();
        rows.extend([100, 101, 102].map(|seconds| ended(RELEASE, 1, seconds)));
        rows.push(ended("worker", 1, 103));
        let live = DeploymentId::new(at(1), 0);
        let told = crash_loops(Some(&live), &rows, at(104));
        let [web] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((web.process.as_str(), web.ends, web.next_start_at), ("web", 3, Some(at(107))));
        assert_eq!(web.text(at(104)), "crash-looping, next start in 3 s; last: exited with code 103");
        assert_eq!(
            crash_loops(Some(&live), &rows, at(110))[0].text(at(110)),
            "crash-looping, started again; last: exited with code 103"
        );
        assert_eq!(crash_loops(Some(&DeploymentId::new(at(2), 0)), &rows, at(104)), [], "another is live");
        assert_eq!(crash_loops(Some(&live), &rows, at(800)), [], "long ago");
        let back = |process| InstanceRow {
            state: InstanceState::Ready,
            ready_at: Some(at(108)),
            ended_at: None,
            reason: None,
            ..ended(process, 1, 107)
        };
        rows.push(back("worker"));
        assert_eq!(crash_loops(Some(&live), &rows, at(140)).len(), 1, "another process has recovered");
        rows.push(back("web"));
        assert_eq!(crash_loops(Some(&live), &rows, at(137)).len(), 1, "not for long enough");
        assert_eq!(crash_loops(Some(&live), &rows, at(138)), [], "it has been ready for half a minute");
    }
}
