//! How an instance ended, in words. Pure.

use skylift_sandbox::{Exit, Outcome};

/// What else had a part in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing: it ended by itself.
    Itself,
    /// It wrote more than it may.
    Disk,
}

/// Why an instance that was not told to ended.
pub(crate) fn reason(outcome: &Outcome, cause: Cause, memory_bytes: u64, disk_bytes: u64) -> String {
    let mib = |bytes: u64| bytes >> 20;
    if cause == Cause::Disk {
        return format!("killed: disk limit {} MiB", mib(disk_bytes));
    }
    if outcome.out_of_memory {
        return format!("killed: memory limit {} MiB", mib(memory_bytes));
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
    use super::*;

    #[test]
    fn the_limit_that_ended_it_is_named() {
        let outcome = Outcome {
            exit: Exit::Signal(9),
            peak_memory_bytes: 256 << 20,
            cpu_ms: 1,
            out_of_memory: true,
            pids_limit_hit: false,
        };
        assert_eq!(reason(&outcome, Cause::Itself, 256 << 20, 0), "killed: memory limit 256 MiB");
        let by_itself = Outcome { out_of_memory: false, exit: Exit::Code(3), ..outcome };
        assert_eq!(reason(&by_itself, Cause::Itself, 0, 0), "exited with code 3");
        assert_eq!(reason(&by_itself, Cause::Disk, 0, 64 << 20), "killed: disk limit 64 MiB");
        let many = Outcome { pids_limit_hit: true, ..by_itself };
        assert!(reason(&many, Cause::Itself, 0, 0).contains("limit of processes"));
    }
}
