//! How many are answered at one time: in all, and of one key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skylift_model::TokenId;

use crate::{Limits, Trouble};

/// Those that are being answered.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    all_max: usize,
    each_max: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    each: HashMap<TokenId, usize>,
}

/// One of them, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Turn {
    key: TokenId,
    taken: Arc<Mutex<Taken>>,
}

impl Turns {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { all_max: limits.at_once, each_max: limits.at_once_each, taken: Arc::default() }
    }

    /// One more, where that is not too many.
    pub(crate) fn take(&self, key: &TokenId) -> Result<Turn, Trouble> {
        let mut taken = lock(&self.taken);
        if taken.each.get(key).is_some_and(|count| *count >= self.each_max) {
            return Err(Trouble::BusyKey(self.each_max));
        }
        if taken.all >= self.all_max {
            return Err(Trouble::Busy);
        }
        taken.all += 1;
        *taken.each.entry(key.clone()).or_default() += 1;
        Ok(Turn { key: key.clone(), taken: self.taken.clone() })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.taken).all
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.each.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.each.remove(&self.key);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    #[test]
    fn one_key_does_not_take_all_and_what_ends_makes_room() {
        let turns = Turns::new(&Limits { at_once: 3, at_once_each: 2, ..Limits::default() });
        let key = |number| TokenId::new(Timestamp::from_millis(0), number);
        let first = turns.take(&key(1)).unwrap();
        let _second = turns.take(&key(1)).unwrap();
        assert_eq!(turns.take(&key(1)).unwrap_err(), Trouble::BusyKey(2));
        let _third = turns.take(&key(2)).unwrap();
        assert_eq!(turns.take(&key(2)).unwrap_err(), Trouble::Busy);
        drop(first);
        assert_eq!(turns.count(), 2);
        turns.take(&key(1)).unwrap();
    }
}
