//! How many requests a target has, and whether it takes more, in one word: a target that is closed gets no request that its closing
//! did not see.

use std::sync::atomic::{AtomicU32, Ordering};

/// Set where the target takes no more.
const CLOSED: u32 = 1 << 31;

/// All orderings are sequentially consistent: who leaves must see who waits, or who waits must see who left (`park.rs`).
#[derive(Debug, Default)]
pub(crate) struct Load(AtomicU32);

/// What was found when the last of a target's requests ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It goes on.
    Open,
    /// It is closed and has nothing more.
    Drained,
}

impl Load {
    /// Takes a place, if it is open and there are fewer than `most`.
    pub(crate) fn try_enter(&self, most: u32) -> bool {
        let entered = |word| (word < CLOSED && word < most).then(|| word + 1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, entered).is_ok()
    }

    /// Gives a place back.
    pub(crate) fn leave(&self) -> Left {
        let before = self.0.fetch_sub(1, Ordering::SeqCst);
        if before == CLOSED + 1 { Left::Drained } else { Left::Open }
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.0.load(Ordering::SeqCst) & !CLOSED
    }

    /// Requests in flight, where it takes more.
    pub(crate) fn open_with(&self) -> Option<u32> {
        let word = self.0.load(Ordering::SeqCst);
        (word < CLOSED).then_some(word)
    }

    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.0.fetch_and(!CLOSED, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.open_with().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_load_takes_nobody_and_knows_its_last() {
        let load = Load::default();
        assert!(load.try_enter(2) && load.try_enter(2) && !load.try_enter(2));
        load.close();
        assert_eq!((load.leave(), load.in_flight()), (Left::Open, 1));
        assert!(!load.try_enter(9), "closed");
        assert_eq!(load.leave(), Left::Drained);
        load.open();
        assert!(load.try_enter(1));
        assert_eq!(load.leave(), Left::Open);
    }
}
