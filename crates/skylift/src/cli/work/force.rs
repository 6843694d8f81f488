//! Who runs code, what waits for them, and how many there are to be, as text.

use skylift_model::wire::{RunBacklog, Worker, WorkerList, WorkerScaling, WorkerState, Workforce};

use super::super::table::table;

pub(super) fn whole(list: &WorkerList) -> String {
    let Workforce { in_service, starting, draining, backlog_per_instance, per_worker_second, scaling } =
        &list.workforce;
    let RunBacklog { visible, delayed, running, dead, oldest_ms } = list.backlog;
    let pace = per_worker_second.map_or("-".to_owned(), |pace| format!("{pace:.2}"));
    let header = ["WORKER", "STATE", "RUNS", "AHEAD", "AT ONCE", "A SECOND", "STARTED BY"];
    let mut parts = vec![
        format!(
            "waiting {visible}, later {delayed} (for their next attempt or their key), running {running}, given up {dead}{}",
            if oldest_ms == 0 {
                String::new()
            } else {
                format!("; the oldest was queued {:.1} s ago", oldest_ms as f64 / 1000.0)
            }
        ),
        format!("workers {in_service} in service, {starting} starting, {draining} draining"),
        format!("BacklogPerInstance {backlog_per_instance:.1}, runs in a worker-second {pace}"),
    ];
    parts.extend(scaling.as_ref().map(scaled));
    parts.push(table(header, list.workers.iter().map(row)));
    parts.join("\n")
}

fn scaled(scaling: &WorkerScaling) -> String {
    let WorkerScaling { node, desired, fixed, min, max, reason, .. } = scaling;
    format!("wanted {desired}: {fixed} that are there anyway, and {min} to {max} that {node} starts\nbecause {reason}")
}

fn row(worker: &Worker) -> [String; 7] {
    let told = &worker.told;
    let state = match worker.state {
        WorkerState::Lost => "lost",
        WorkerState::Ok if told.drains => "draining",
        WorkerState::Ok => "in service",
    };
    [
        worker.name.clone(),
        state.to_owned(),
        told.running.to_string(),
        told.ahead.to_string(),
        told.at_once.to_string(),
        told.lately.per_worker_second().map_or("-".to_owned(), |pace| format!("{pace:.2}")),
        told.started_by.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;
    use skylift_model::wire::{Pace, WorkerTold};

    use super::*;

    fn worker(name: &str, started_by: Option<&str>, drains: bool) -> Worker {
        let (languages, tuner, version) = (Vec::new(), None, String::new());
        let (started_by, lately) = (started_by.map(str::to_owned), Pace { done: 90, busy_us: 1, in_ms: 60_000 });
        let (at_once, running, ahead) = (4, 2, 1);
        let told = WorkerTold { languages, at_once, running, ahead, version, tuner, started_by, drains, lately };
        Worker { name: name.into(), state: WorkerState::Ok, told_at: Timestamp::from_millis(0), told }
    }

    #[test]
    fn what_waits_who_works_and_why_there_are_as_many_is_shown() {
        let scaling = WorkerScaling {
            node: "n".into(),
            desired: 3,
            fixed: 1,
            max: 4,
            reason: "of that".into(),
            ..WorkerScaling::default()
        };
        let workforce = Workforce {
            in_service: 1,
            starting: 1,
            draining: 1,
            backlog_per_instance: 12.0,
            per_worker_second: Some(1.5),
            scaling: Some(scaling),
        };
        let backlog = RunBacklog { visible: 12, delayed: 1, running: 4, dead: 0, oldest_ms: 1500 };
        let workers = vec![worker("n", None, false), worker("n-1", Some("n"), true)];
        let text = whole(&WorkerList { workers, backlog, workforce });
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "waiting 12, later 1 (for their next attempt or their key), running 4, given up 0; the oldest was queued 1.5 s ago",
                "workers 1 in service, 1 starting, 1 draining",
                "BacklogPerInstance 12.0, runs in a worker-second 1.50",
                "wanted 3: 1 that are there anyway, and 0 to 4 that n starts",
                "because of that",
                "WORKER STATE RUNS AHEAD AT ONCE A SECOND STARTED BY",
                "n in service 2 1 4 1.50 -",
                "n-1 draining 2 1 4 1.50 n",
            ]
        );
    }
}
