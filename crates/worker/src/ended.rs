//! How an instance ended, in words. Pure.

use rustix::io::Errno;
use skylift_sandbox::{Exit, Outcome};
use skylift_store::End;

use crate::Settings;
use crate::instance::watch_disk::{files_max, kept_files_max};
use crate::process::Kind;

/// What else had a part in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing: it ended by itself.
    Itself,
    /// It wrote more than it may.
    Disk,
    /// It made more files than go with what it may write.
    Files,
    /// A volume of it held more than it may.
    Volume,
    /// A volume of it held more files than go with that.
    VolumeFiles,
    /// Nobody could tell any more how much a volume of it held.
    VolumeUnmeasured(Errno),
    /// The disk is nearly full, and it keeps so many descriptors where nobody sees what they hold.
    InFlight(u64),
    /// It took longer than a release command may.
    Time,
}

/// How an instance that was not told to ended. What is to come to an end has no reason for a good one.
pub(crate) fn end(outcome: &Outcome, cause: Cause, kind: Kind, settings: &Settings) -> End {
    // As shells tell it.
    let exit_code = match (cause, outcome.exit) {
        (Cause::Time, _) => 124,
        (Cause::Disk | Cause::Files | Cause::InFlight(_), _) => 137,
        (Cause::Volume | Cause::VolumeFiles | Cause::VolumeUnmeasured(_), _) => 137,
        (Cause::Itself, Exit::Code(code)) => code,
        (Cause::Itself, Exit::Signal(signal)) => 128 + signal,
    };
    let is_good = kind.is_to_end() && exit_code == 0;
    End { reason: (!is_good).then(|| reason(outcome, cause, kind, settings)), exit_code: Some(exit_code) }
}

fn reason(outcome: &Outcome, cause: Cause, kind: Kind, settings: &Settings) -> String {
    let mib = |bytes: u64| bytes >> 20;
    if cause == Cause::Disk {
        return format!("killed: disk limit {} MiB", mib(settings.disk_bytes));
    }
    if cause == Cause::Files {
        return format!("killed: more than {} files", files_max(settings.disk_bytes));
    }
    if cause == Cause::Volume {
        return format!("killed: volume limit {} MiB", mib(settings.volume_bytes));
    }
    if cause == Cause::VolumeFiles {
        return format!("killed: volume limit {} files", kept_files_max(settings.volume_bytes));
    }
    if let Cause::VolumeUnmeasured(errno) = cause {
        return format!("killed: a volume cannot be measured: {errno}");
    }
    if let Cause::InFlight(count) = cause {
        return format!(
            "killed: the disk is nearly full, and {count} descriptors wait in its sockets, which may hold removed files"
        );
    }
    if cause == Cause::Time {
        let limit = if kind == Kind::OneOff { settings.one_off } else { settings.release };
        return format!("killed: time limit {} s", limit.as_secs());
    }
    if outcome.out_of_memory {
        return format!("killed: memory limit {} MiB", mib(settings.memory_bytes));
    }
    let mut reason = match outcome.exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal(signal) => format!("ended by signal {signal}"),
    };
    if outcome.pids_limit_hit {
        reason.push_str("; it met its limit of processes and threads");
    }
    reason
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skylift_egress::Policy;

    use super::*;

    fn settings() -> Settings {
        Settings {
            memory_bytes: 256 << 20,
            cpu_millicores: 1000,
            pids: 64,
            disk_bytes: 64 << 20,
            volume_bytes: 128 << 20,
            grace: Duration::from_secs(1),
            release: Duration::from_secs(60),
            one_off: Duration::from_secs(90),
            egress: Policy::default(),
            services: skylift_model::service::Services::default(),
            databases: None,
            domain: "test".to_owned(),
            node: skylift_model::instance_type::Capacity::default(),
        }
    }

    #[test]
    fn only_what_is_to_end_ends_well_and_only_by_itself() {
        let outcome = Outcome {
            exit: Exit::Code(0),
            peak_memory_bytes: 1,
            cpu_ms: 1,
            out_of_memory: false,
            pids_limit_hit: false,
        };
        let ended = |outcome: &Outcome, cause, kind| {
            let End { reason, exit_code } = end(outcome, cause, kind, &settings());
            (reason, exit_code)
        };
        assert_eq!(ended(&outcome, Cause::Itself, Kind::Release), (None, Some(0)));
        assert_eq!(
            ended(&outcome, Cause::Itself, Kind::Worker),
            (Some("exited with code 0".to_owned()), Some(0)),
            "a process that is to go on did not"
        );
        assert!(ended(&outcome, Cause::Time, Kind::Release).0.is_some_and(|reason| reason.contains("time limit")));
        let bad = Outcome { exit: Exit::Code(4), ..outcome };
        assert_eq!(ended(&bad, Cause::Itself, Kind::Release), (Some("exited with code 4".to_owned()), Some(4)));
        let killed = Outcome { exit: Exit::Signal(9), ..outcome };
        assert_eq!(ended(&killed, Cause::Itself, Kind::Release), (Some("ended by signal 9".to_owned()), Some(137)));
    }

    #[test]
    fn the_limit_that_ended_it_is_named() {
        let outcome = Outcome {
            exit: Exit::Signal(9),
            peak_memory_bytes: 256 << 20,
            cpu_ms: 1,
            out_of_memory: true,
            pids_limit_hit: false,
        };
        assert_eq!(reason(&outcome, Cause::Itself, Kind::Web, &settings()), "killed: memory limit 256 MiB");
        let by_itself = Outcome { out_of_memory: false, exit: Exit::Code(3), ..outcome };
        assert_eq!(reason(&by_itself, Cause::Itself, Kind::Web, &settings()), "exited with code 3");
        assert_eq!(reason(&by_itself, Cause::Disk, Kind::Web, &settings()), "killed: disk limit 64 MiB");
        assert_eq!(reason(&by_itself, Cause::Volume, Kind::Web, &settings()), "killed: volume limit 128 MiB");
        assert_eq!(reason(&by_itself, Cause::VolumeFiles, Kind::Web, &settings()), "killed: volume limit 8192 files");
        let unmeasured = reason(&by_itself, Cause::VolumeUnmeasured(Errno::IO), Kind::Web, &settings());
        assert!(unmeasured.contains("cannot be measured: Input/output error"), "{unmeasured}");
        assert_eq!(reason(&by_itself, Cause::Time, Kind::Release, &settings()), "killed: time limit 60 s");
        assert_eq!(reason(&by_itself, Cause::Time, Kind::OneOff, &settings()), "killed: time limit 90 s");
        assert_eq!(reason(&by_itself, Cause::Files, Kind::Web, &settings()), "killed: more than 16384 files");
        let many = Outcome { pids_limit_hit: true, ..by_itself };
        assert!(reason(&many, Cause::Itself, Kind::Web, &settings()).contains("limit of processes"));
    }
}
