//! How a submission is, by Judge0's numbers.

use serde_json::{Value, json};

/// Every status: its number and what it is called.
pub(super) const ALL: [(u8, &str); 14] = [
    (1, "In Queue"),
    (2, "Processing"),
    (3, "Accepted"),
    (4, "Wrong Answer"),
    (5, "Time Limit Exceeded"),
    (6, "Compilation Error"),
    (7, "Runtime Error (SIGSEGV)"),
    (8, "Runtime Error (SIGXFSZ)"),
    (9, "Runtime Error (SIGFPE)"),
    (10, "Runtime Error (SIGABRT)"),
    (11, "Runtime Error (NZEC)"),
    (12, "Runtime Error (Other)"),
    (13, "Internal Error"),
    (14, "Exec Format Error"),
];

pub(super) const QUEUED: u8 = 1;
pub(super) const PROCESSING: u8 = 2;
pub(super) const ACCEPTED: u8 = 3;
pub(super) const WRONG: u8 = 4;
pub(super) const TIME: u8 = 5;
pub(super) const COMPILATION: u8 = 6;
pub(super) const FILE_SIZE: u8 = 8;
pub(super) const NONZERO: u8 = 11;
pub(super) const OTHER: u8 = 12;
pub(super) const INTERNAL: u8 = 13;

/// What it is called.
pub(super) fn description(id: u8) -> &'static str {
    ALL.iter().find(|(number, _)| *number == id).map_or("", |(_, text)| text)
}

/// As it is told.
pub(super) fn told(id: u8) -> Value {
    json!({ "id": id, "description": description(id) })
}

/// That of a program which a signal ended.
pub(super) fn of_signal(signal: i32) -> u8 {
    match signal {
        11 => 7,
        25 => FILE_SIZE,
        8 => 9,
        6 => 10,
        _ => OTHER,
    }
}
