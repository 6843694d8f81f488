//! What became of the connections of an app, by destination: how many passed, how many were refused and why.
//!
//! Shared by all gateways of an app on a node. Its size is bounded: names are the guests' own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use skylift_model::wire::NetSeen;

/// Destinations that are told apart; all others are counted together.
const PLACES_MAX: usize = 256;
/// The most that is told at once.
const TOLD_MAX: usize = 50;
/// What those are called that are not told apart.
const OTHERS: &str = "(others)";
const REASON_CHARS_MAX: usize = 200;

/// Counts by destination.
#[derive(Debug, Default)]
pub struct Book(Mutex<HashMap<String, Counts>>);

#[derive(Debug, Default)]
struct Counts {
    passed: u64,
    dropped: u64,
    reason: Option<String>,
}

impl Book {
    pub(crate) fn passed(&self, to: String) {
        self.count(to, |counts| counts.passed += 1);
    }

    pub(crate) fn dropped(&self, to: String, reason: &str) {
        self.count(to, |counts| {
            counts.dropped += 1;
            counts.reason = Some(reason.chars().take(REASON_CHARS_MAX).collect());
        });
    }

    fn count(&self, to: String, change: impl FnOnce(&mut Counts)) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !book.contains_key(&to);
        let to = if is_new && book.len() >= PLACES_MAX { OTHERS.to_owned() } else { to };
        change(book.entry(to).or_default());
    }

    /// The destinations with the most connections, most first.
    pub fn read(&self) -> Vec<NetSeen> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = |(to, counts): (&String, &Counts)| {
            let Counts { passed, dropped, reason } = counts;
            NetSeen { to: to.clone(), passed: *passed, dropped: *dropped, reason: reason.clone() }
        };
        let mut all: Vec<NetSeen> = book.iter().map(seen).collect();
        all.sort_by(|a, b| (b.passed + b.dropped).cmp(&(a.passed + a.dropped)).then_with(|| a.to.cmp(&b.to)));
        all.truncate(TOLD_MAX);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_counted_apart_until_there_are_too_many() {
        let book = Book::default();
        for number in 0..1000 {
            book.dropped(format!("host-{number}:80"), "why");
            book.passed("often:443".to_owned());
        }
        let told = book.read();
        let first: Vec<_> = told.iter().take(2).map(|seen| (seen.to.as_str(), seen.passed, seen.dropped)).collect();
        assert_eq!(first, [("often:443", 1000, 0), (OTHERS, 0, 745)]);
        assert_eq!(told.len(), TOLD_MAX);
        assert_eq!(told[1].reason.as_deref(), Some("why"));
    }
}
