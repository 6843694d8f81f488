//! Signals by their names, as Linux has them on the processors that Skylift runs on.

/// The names of the signals from 1 on, without `SIG`. Those for real time have none of their own.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// What a signal is called, such as `SIGKILL`; `None` for a number that has no name.
pub fn signal_name(number: i32) -> Option<String> {
    let name = NAMES.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
    Some(format!("SIG{name}"))
}

/// The number of a signal that is called so, as in `SIGINT`.
pub fn signal_number(name: &str) -> Option<i32> {
    let name = name.strip_prefix("SIG")?;
    let place = NAMES.iter().position(|known| *known == name)?;
    i32::try_from(place + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_its_number() {
        for (number, name) in [(1, "SIGHUP"), (9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (31, "SIGSYS")] {
            assert_eq!((signal_name(number).as_deref(), signal_number(name)), (Some(name), Some(number)));
        }
        assert!([0, -1, 32].into_iter().all(|number| signal_name(number).is_none()));
        assert!(["INT", "SIGNOTHING", "SIG", ""].into_iter().all(|name| signal_number(name).is_none()));
    }
}
