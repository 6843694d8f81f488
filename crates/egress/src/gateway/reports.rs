//! Tells of each refused destination once, and of so many at most: a guest must not flood the log.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::refusal::{Reason, Refusal};

pub(super) struct Reports {
    told: Mutex<HashSet<(String, Option<u16>)>>,
    tell: Box<dyn Fn(Refusal) + Send + Sync>,
}

/// Destinations told of; after them comes one line that says there are more.
const DESTINATIONS_MAX: usize = 100;

impl Reports {
    pub(super) fn to(tell: impl Fn(Refusal) + Send + Sync + 'static) -> Self {
        Self { told: Mutex::default(), tell: Box::new(tell) }
    }

    pub(super) fn tell(&self, mut refusal: Refusal) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() > DESTINATIONS_MAX || !told.insert((refusal.host.clone(), refusal.port)) {
                return;
            }
            if told.len() > DESTINATIONS_MAX {
                refusal.reason = Reason::TooMany;
            }
        }
        (self.tell)(refusal);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::InvalidHost;

    fn reports() -> (Reports, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&lines);
        (Reports::to(move |refusal| heard.lock().unwrap().push(refusal.to_string())), lines)
    }

    fn refusal(host: &str, port: u16) -> Refusal {
        Refusal::of_spelling(host, Some(port), InvalidHost::OddV4, "allow")
    }

    #[test]
    fn the_same_destination_is_told_once() {
        let (reports, lines) = reports();
        for (host, port) in [("127.1", 80), ("127.1", 80), ("127.1", 443), ("127.2", 80)] {
            reports.tell(refusal(host, port));
        }
        assert_eq!(lines.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_flood_of_destinations_ends_in_one_line_that_says_so() {
        let (reports, lines) = reports();
        for host in 0..10_000 {
            reports.tell(refusal(&host.to_string(), 80));
        }
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), DESTINATIONS_MAX + 1);
        assert_eq!(lines.last().unwrap(), "refused: more hosts are refused than are listed here");
    }
}
