//! What runs of this process print, while they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skylift_model::RunId;
use skylift_model::run::Step;
use tokio::sync::watch;

/// What a run has printed so far, and whether there may be more.
#[derive(Debug)]
pub struct Live {
    printed: Mutex<Heard>,
    /// How much there is; its end is the run's.
    grew: watch::Sender<Seen>,
    /// How much of each stream is kept.
    most: usize,
}

#[derive(Debug, Default)]
struct Heard {
    printed: Printed,
    /// How much came of the one stream before the other had its turn: stdout first, then in turn. Whoever alternates for long is not followed.
    turns: Vec<u32>,
    compiled: Option<Step>,
}

/// How many turns are told apart.
const TURNS_MAX: usize = 1 << 16;

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
    /// Whether it was compiled, well or not.
    pub compiled: bool,
}

impl Live {
    /// One that keeps so many bytes of each stream.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { printed: Mutex::default(), grew: watch::Sender::new(Seen::default()), most })
    }

    fn printed(&self) -> MutexGuard<'_, Heard> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was compiled, well or not.
    pub fn compiled(&self, step: &Step) {
        self.printed().compiled = Some(step.clone());
        self.grew.send_modify(|seen| seen.compiled = true);
    }

    /// What compiling it came to.
    pub fn compiling(&self) -> Option<Step> {
        self.printed().compiled.clone()
    }

    /// Its program runs. Where it did before and is begun anew, what it printed then is forgotten: it prints that again.
    pub fn began(&self) {
        let mut heard = self.printed();
        (heard.printed, heard.turns) = Default::default();
        drop(heard);
        self.grew.send_modify(|seen| *seen = Seen { began: true, compiled: seen.compiled, ..Seen::default() });
    }

    /// It printed something; whether to the one stream or the other.
    pub fn heard(&self, is_stdout: bool, bytes: &[u8]) {
        let mut heard = self.printed();
        let Heard { printed, turns, .. } = &mut *heard;
        let stream = if is_stdout { &mut printed.stdout } else { &mut printed.stderr };
        let before = stream.len();
        let room = self.most.saturating_sub(before);
        stream.extend(bytes.iter().take(room));
        took_turn(turns, is_stdout, stream.len() - before);
        let (stdout, stderr) = (printed.stdout.len(), printed.stderr.len());
        drop(heard);
        self.grew.send_modify(|seen| (seen.stdout, seen.stderr) = (stdout, stderr));
    }

    /// What somebody has not seen yet.
    pub fn since(&self, seen: Seen) -> Printed {
        self.some_since(seen, usize::MAX)
    }

    /// What somebody has not seen yet, at most so many bytes of each stream.
    pub fn some_since(&self, seen: Seen, most: usize) -> Printed {
        let heard = self.printed();
        let next = |stream: &[u8], from: usize| {
            let rest = stream.get(from..).unwrap_or_default();
            rest.get(..most).unwrap_or(rest).to_vec()
        };
        Printed { stdout: next(&heard.printed.stdout, seen.stdout), stderr: next(&heard.printed.stderr, seen.stderr) }
    }

    /// Both streams as one, in the order in which they were heard.
    pub fn in_order(&self) -> Vec<u8> {
        let heard = self.printed();
        let (mut stdout, mut stderr) = (heard.printed.stdout.as_slice(), heard.printed.stderr.as_slice());
        let mut both = Vec::with_capacity(stdout.len() + stderr.len());
        for (place, length) in heard.turns.iter().enumerate() {
            let stream = if place.is_multiple_of(2) { &mut stdout } else { &mut stderr };
            let Some((turn, rest)) = stream.split_at_checked(*length as usize) else { break };
            both.extend_from_slice(turn);
            *stream = rest;
        }
        both.extend_from_slice(stdout);
        both.extend_from_slice(stderr);
        both
    }

    /// For waiting until there is more.
    pub fn follow(&self) -> watch::Receiver<Seen> {
        self.grew.subscribe()
    }
}

/// The turn of stdout has an even place, that of stderr an odd one.
fn took_turn(turns: &mut Vec<u32>, is_stdout: bool, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    if turns.is_empty() {
        turns.push(0);
    }
    let count = turns.len();
    let is_same = (count % 2 == 1) == is_stdout;
    match turns.last_mut() {
        Some(last) if is_same => *last = last.saturating_add(length),
        _ if count < TURNS_MAX => turns.push(length),
        _ => {}
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
        assert_eq!(seen, Seen { stdout: 3, stderr: 1, began: true, compiled: false });
        assert_eq!(live.since(Seen::default()), Printed { stdout: b"abc".to_vec(), stderr: b"x".to_vec() });
        live.heard(true, b"defgh");
        assert_eq!(live.since(seen), Printed { stdout: b"de".to_vec(), stderr: Vec::new() });
        assert_eq!(live.some_since(seen, 1), Printed { stdout: b"d".to_vec(), stderr: Vec::new() });
        assert_eq!(live.in_order(), b"abcxde");
        drop(live);
        assert!(follow.changed().await.is_ok());
        assert!(follow.changed().await.is_err(), "the end of it is the end of the run");
    }

    #[test]
    fn both_streams_are_one_in_the_order_in_which_they_were_heard_as_far_as_that_was_followed() {
        let live = Live::new(1 << 20);
        for (is_stdout, bytes) in [(false, "a"), (true, "b"), (true, "c"), (false, "d"), (true, "e")] {
            live.heard(is_stdout, bytes.as_bytes());
        }
        assert_eq!(live.in_order(), b"abcde");
        let live = Live::new(1 << 20);
        for turn in 0..2 * TURNS_MAX {
            live.heard(turn % 2 == 0, &[b'o', b'e'][turn % 2..=turn % 2]);
        }
        let both = live.in_order();
        assert_eq!(both.len(), 2 * TURNS_MAX);
        assert!(both.starts_with(b"oeoe") && both.ends_with(b"oooo"));
        assert!(live.printed().turns.len() <= TURNS_MAX);
    }

    #[test]
    fn what_is_begun_anew_is_heard_from_its_beginning_and_nobody_sees_anything_twice() {
        let live = Live::new(9);
        live.began();
        live.heard(true, b"ab");
        let seen = *live.follow().borrow();
        live.began();
        live.heard(true, b"a");
        assert_eq!(live.since(seen).stdout, b"", "it was seen before");
        live.heard(true, b"bc");
        assert_eq!((live.since(seen).stdout, live.in_order()), (b"c".to_vec(), b"abc".to_vec()));
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
