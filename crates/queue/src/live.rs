//! What runs of this process print, while they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skylift_model::RunId;
use tokio::sync::watch;

/// What a run has printed so far, and whether there may be more.
#[derive(Debug)]
pub struct Live {
    printed: Mutex<Printed>,
    /// How much there is; its end is the run's.
    grew: watch::Sender<Seen>,
    /// How much of each stream is kept.
    most: usize,
}

/// What was printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// How much of it somebody has seen, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub stdout: usize,
    pub stderr: usize,
    /// Whether its program runs, or has run.
    pub began: bool,
}

impl Live {
    /// One that keeps so many bytes of each stream.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { printed: Mutex::default(), grew: watch::Sender::new(Seen::default()), most })
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its program runs.
    pub fn began(&self) {
        self.grew.send_modify(|seen| seen.began = true);
    }

    /// It printed something; whether to the one stream or the other.
    pub fn heard(&self, is_stdout: bool, bytes: &[u8]) {
        let mut printed = self.printed();
        let stream = if is_stdout { &mut printed.stdout } else { &mut printed.stderr };
        let room = self.most.saturating_sub(stream.len());
        stream.extend(bytes.iter().take(room));
        let (stdout, stderr) = (printed.stdout.len(), printed.stderr.len());
        drop(printed);
        self.grew.send_modify(|seen| (seen.stdout, seen.stderr) = (stdout, stderr));
    }

    /// What somebody has not seen yet.
    pub fn since(&self, seen: Seen) -> Printed {
        let printed = self.printed();
        let rest = |stream: &[u8], from: usize| stream.get(from..).unwrap_or_default().to_vec();
        Printed { stdout: rest(&printed.stdout, seen.stdout), stderr: rest(&printed.stderr, seen.stderr) }
    }

    /// For waiting until there is more.
    pub fn follow(&self) -> watch::Receiver<Seen> {
        self.grew.subscribe()
    }
}

/// Those of this process that can be followed.
#[derive(Clone, Debug, Default)]
pub struct LiveRuns(Arc<Mutex<HashMap<RunId, Arc<Live>>>>);

impl LiveRuns {
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Live>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a run prints, where it runs here.
    pub fn find(&self, id: &RunId) -> Option<Arc<Live>> {
        self.runs().get(id).cloned()
    }

    pub(crate) fn add(&self, id: &RunId, most: usize) -> Arc<Live> {
        let live = Live::new(most);
        self.runs().insert(id.clone(), live.clone());
        live
    }

    pub(crate) fn forget(&self, id: &RunId) {
        self.runs().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_follows_sees_all_of_it_once_and_no_more_than_is_kept() {
        let live = Live::new(5);
        let mut follow = live.follow();
        live.began();
        live.heard(true, b"abc");
        live.heard(false, b"x");
        assert!(follow.changed().await.is_ok());
        let seen = *follow.borrow_and_update();
        assert_eq!(seen, Seen { stdout: 3, stderr: 1, began: true });
        assert_eq!(live.since(Seen::default()), Printed { stdout: b"abc".to_vec(), stderr: b"x".to_vec() });
        live.heard(true, b"defgh");
        assert_eq!(live.since(seen), Printed { stdout: b"de".to_vec(), stderr: Vec::new() });
        drop(live);
        assert!(follow.changed().await.is_ok());
        assert!(follow.changed().await.is_err(), "the end of it is the end of the run");
    }

    #[test]
    fn a_run_is_found_for_as_long_as_it_runs() {
        let (runs, id) = (LiveRuns::default(), RunId::new(skylift_model::Timestamp::from_millis(0), 1));
        runs.add(&id, 1).heard(true, b"a");
        assert_eq!(runs.find(&id).unwrap().since(Seen::default()).stdout, b"a");
        runs.forget(&id);
        assert!(runs.find(&id).is_none());
    }
}
