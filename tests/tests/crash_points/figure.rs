//! What the clean client of every scenario of a test was told, added up: one line of the soak's figures.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skylift_tests::steady::Told;

static SUM: Mutex<Sum> = Mutex::new(Sum { scenarios: 0, answers: 0, unanswered: 0, p99_max: Duration::ZERO });

struct Sum {
    scenarios: u64,
    answers: u64,
    unanswered: u64,
    p99_max: Duration,
}

/// Adds what the client of one scenario was told.
pub(crate) fn add(told: &Told) {
    let mut sum = SUM.lock().unwrap_or_else(PoisonError::into_inner);
    sum.scenarios += 1;
    sum.answers += told.answers.len() as u64;
    sum.unanswered += told.unanswered;
    sum.p99_max = sum.p99_max.max(told.p99());
}

/// Prints the line.
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
pub(crate) fn print(what: &str) {
    let Sum { scenarios, answers, unanswered, p99_max } = &*SUM.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!(
        "figure: {what}: {scenarios} scenarios, {answers} answers to a clean client, none wrong, {unanswered} not given, \
         99 of 100 within {p99_max:.0?} at the worst"
    );
}
