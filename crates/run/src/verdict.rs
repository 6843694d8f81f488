//! How a run ended, in one word: pure.

use skylift_model::run::{Limits, RunStatus};
use skylift_sandbox::{Exit, Outcome};

/// A limit at which the host has ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Wall,
    Cpu,
    Output,
}

/// What is told of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: RunStatus,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

/// A limit explains an end better than the code or signal that followed from it; but who exits with 0 is well, though one of its
/// helpers may have met the memory's.
pub(crate) fn verdict(broken: Option<Broken>, outcome: &Outcome, limits: &Limits) -> Verdict {
    let (exit_code, signal) = match outcome.exit {
        Exit::Code(code) => (code, None),
        Exit::Signal(signal) => (128 + signal, Some(signal)),
    };
    let status = match broken {
        Some(Broken::Wall) => RunStatus::TimeLimit,
        Some(Broken::Cpu) => RunStatus::CpuLimit,
        Some(Broken::Output) => RunStatus::OutputLimit,
        // Between two looks more may be used.
        None if outcome.cpu_ms > limits.cpu_ms => RunStatus::CpuLimit,
        None if exit_code == 0 => RunStatus::Ok,
        None if outcome.out_of_memory => RunStatus::MemoryLimit,
        None if signal.is_some() => RunStatus::Signal,
        None => RunStatus::ExitNonzero,
    };
    Verdict { status, exit_code: Some(exit_code), signal }
}

#[cfg(test)]
mod tests {
    use skylift_model::run::LIMITS;

    use super::*;

    fn outcome(exit: Exit) -> Outcome {
        Outcome { exit, peak_memory_bytes: 0, cpu_ms: 1, out_of_memory: false, pids_limit_hit: false }
    }

    #[test]
    fn each_end_has_its_word() {
        let limits = LIMITS.usual;
        let told = |broken, outcome: Outcome| {
            let Verdict { status, exit_code, signal } = verdict(broken, &outcome, &limits);
            (status, exit_code, signal)
        };
        let killed = outcome(Exit::Signal(9));
        assert_eq!(told(None, outcome(Exit::Code(0))), (RunStatus::Ok, Some(0), None));
        assert_eq!(told(None, outcome(Exit::Code(255))), (RunStatus::ExitNonzero, Some(255), None));
        assert_eq!(told(None, outcome(Exit::Signal(11))), (RunStatus::Signal, Some(139), Some(11)));
        assert_eq!(told(Some(Broken::Wall), killed), (RunStatus::TimeLimit, Some(137), Some(9)));
        assert_eq!(told(Some(Broken::Cpu), killed), (RunStatus::CpuLimit, Some(137), Some(9)));
        assert_eq!(told(Some(Broken::Output), killed), (RunStatus::OutputLimit, Some(137), Some(9)));
        let starved = Outcome { out_of_memory: true, ..killed };
        assert_eq!(told(None, starved), (RunStatus::MemoryLimit, Some(137), Some(9)));
        let helper_starved = Outcome { out_of_memory: true, ..outcome(Exit::Code(0)) };
        assert_eq!(told(None, helper_starved).0, RunStatus::Ok);
        let busy = Outcome { cpu_ms: limits.cpu_ms + 1, ..outcome(Exit::Code(0)) };
        assert_eq!(told(None, busy).0, RunStatus::CpuLimit);
    }
}
