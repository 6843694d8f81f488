//! Request ids: made here for every request, but for one that a declared proxy has named already (`clients.rs`).

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use skylift_model::RequestId;

use crate::now::Moment;

thread_local! {
    // A key of each thread's own: two threads never share a series.
    static SERIES: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
}

/// An id that cannot be guessed from others: a counter under a keyed hash.
pub(crate) fn next(now: Moment) -> RequestId {
    let random = SERIES.with(|(key, next)| {
        let number = next.get();
        next.set(number.wrapping_add(1));
        key.hash_one(number)
    });
    RequestId::new(now.timestamp(), random)
}
