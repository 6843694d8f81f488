//! Who is next of those that wait in this process to be run: keys take turns, so that one that sends many at once holds up another for one
//! of its runs each time, and not for all of them. As the rows have it of those that are queued (`store/runs/turns.rs`): start-time fair
//! queuing, each run at the cost of one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skylift_durable::{Defence, left_out};
use skylift_model::TokenId;
use tokio::sync::oneshot;

/// So many may run at a time.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    at_once: usize,
    free: usize,
    /// That of the last one who was let in.
    turn: u64,
    /// By their turns, and then as they came.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<Held>>,
    /// The last turn of each key that waits, and perhaps of some that do not.
    last: HashMap<Option<TokenId>, u64>,
    came: u64,
}

/// That one may run, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held(Option<Turns>);

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        let state = State { at_once, free: at_once, turn: 0, waiting: BTreeMap::new(), last: HashMap::new(), came: 0 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for a key's turn. `None` where this is no more.
    pub(crate) async fn take(&self, of: Option<&TokenId>) -> Option<Held> {
        let turn = {
            let mut state = self.state();
            if let Some(left) = state.free.checked_sub(1) {
                state.free = left;
                return Some(Held(Some(self.clone())));
            }
            state.wait(of)
        };
        turn.await.ok()
    }

    /// Where nobody has to wait.
    pub(crate) fn take_free(&self) -> Option<Held> {
        let mut state = self.state();
        state.free = state.free.checked_sub(1)?;
        Some(Held(Some(self.clone())))
    }

    /// How many run.
    pub(crate) fn taken(&self) -> usize {
        let state = self.state();
        state.at_once.saturating_sub(state.free)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets in whoever is next and still waits.
    fn pass_on(&self) {
        loop {
            let Some(next) = self.state().next() else { return };
            match next.send(Held(Some(self.clone()))) {
                Ok(()) => return,
                // Who has gone does not pass it on as well.
                Err(mut held) => drop(held.0.take()),
            }
        }
    }
}

impl State {
    fn wait(&mut self, of: Option<&TokenId>) -> oneshot::Receiver<Held> {
        let of = of.cloned();
        let after_own = self.last.get(&of).map_or(0, |last| last + 1);
        let turn = if left_out(Defence::Turns) { 0 } else { self.turn.max(after_own) };
        self.last.insert(of, turn);
        self.came += 1;
        let (lets_in, waits) = oneshot::channel();
        self.waiting.insert((turn, self.came), lets_in);
        waits
    }

    /// Where nobody waits, one more is free.
    fn next(&mut self) -> Option<oneshot::Sender<Held>> {
        let Some(((turn, _), next)) = self.waiting.pop_first() else {
            self.free += 1;
            self.last.clear();
            return None;
        };
        self.turn = turn;
        // Whose last turn is over begins beside whoever is next, as who has none does.
        if self.last.len() > 2 * self.waiting.len() + 16 {
            self.last.retain(|_, last| *last >= turn);
        }
        Some(next)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    fn key(number: u64) -> TokenId {
        TokenId::new(Timestamp::from_millis(1), number)
    }

    /// Has keys come one after the other while all turns are taken, and says who is let in, one after the other; the `gone`th goes away before.
    async fn order(keys: &[u64], gone: Option<usize>) -> Vec<u64> {
        let turns = Turns::new(1);
        let held = turns.take(None).await.unwrap();
        let mut waiting: Vec<_> =
            keys.iter().map(|number| (*number, turns.state().wait(Some(&key(*number))))).collect();
        if let Some(gone) = gone {
            drop(waiting.remove(gone));
        }
        let (mut let_in, mut held) = (Vec::new(), Some(held));
        while held.take().is_some() {
            let next = waiting.iter_mut().position(|(_, waits)| match waits.try_recv() {
                Ok(next) => held.insert(next).0.is_some(),
                Err(_) => false,
            });
            let_in.extend(next.map(|next| waiting.remove(next).0));
        }
        assert!(waiting.is_empty() && turns.state().free == 1 && turns.state().last.is_empty());
        let_in
    }

    #[tokio::test]
    async fn who_sends_many_holds_up_another_for_one_at_a_time() {
        assert_eq!(order(&[1, 1, 1, 1, 1, 2, 2], None).await, [1, 2, 1, 2, 1, 1, 1]);
        assert_eq!(order(&[1, 1, 2, 3, 2], None).await, [1, 2, 3, 1, 2]);
        assert_eq!(order(&[1, 1, 1], None).await, [1, 1, 1]);
    }

    #[tokio::test]
    async fn who_goes_away_is_passed_over() {
        assert_eq!(order(&[1, 1, 2, 1], Some(0)).await, [2, 1, 1]);
        assert_eq!(order(&[1], Some(0)).await, [0; 0]);
    }

    #[tokio::test]
    async fn as_many_run_as_may_and_who_was_let_in_and_is_gone_gives_it_back() {
        let turns = Turns::new(2);
        let (first, second) = (turns.take(Some(&key(1))).await, turns.take(None).await);
        let waits = turns.state().wait(Some(&key(1)));
        drop(first);
        assert_eq!(turns.state().free, 0, "it is on its way");
        drop(waits);
        assert_eq!(turns.state().free, 1);
        drop(second);
        assert_eq!(turns.state().free, 2);
        assert_eq!(turns.taken(), 0);
    }
}
