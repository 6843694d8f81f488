//! Whose turn it is among the runs of one priority: each key has its share, however much it queues.
//!
//! A run is stamped with its turn when it is queued, and the lowest turn goes first. It is one after the last of its key that waits; a key
//! of which nothing waits begins beside whoever is next of all. So keys that wait take turns, and what one of them queues at once makes
//! the others wait for a run of it each time, not for all of it. (Start-time fair queuing, each run at the cost of one, where the virtual
//! time is the turn of the next run that waits.)
//!
//! Everything follows from the rows that wait, in the transaction that queues: whichever process does, there is one order, and taking runs
//! costs what it would by age alone.

use skylift_durable::{Defence, left_out};

/// The turn of a run that is queued, as SQL: of which key, and of which priority.
pub(super) fn of_new(token: &str, priority: &str) -> String {
    if left_out(Defence::Turns) {
        return "0".to_owned();
    }
    format!(
        "COALESCE((SELECT own.turn + 1 FROM runs AS own
              WHERE own.token = {token} AND own.priority = {priority} AND own.state = 'queued'
              ORDER BY own.turn DESC LIMIT 1),
          {}, 0)",
        next(priority)
    )
}

/// The turn of a run that is put back, as SQL for its row: it had its turn, and is next again.
pub(super) fn put_back() -> String {
    format!("COALESCE({}, turn)", next("runs.priority"))
}

fn next(priority: &str) -> String {
    format!(
        "(SELECT first.turn FROM runs AS first
          WHERE first.priority = {priority} AND first.state = 'queued' ORDER BY first.turn LIMIT 1)"
    )
}
