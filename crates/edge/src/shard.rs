//! Which share of a count or a buffer belongs to the running thread, so that threads do not wait for each other.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than this many shares cost memory and gain nothing.
const COUNT_MAX: usize = 64;

static COUNT: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from).min(COUNT_MAX));

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How many shares there are.
pub(crate) fn count() -> usize {
    *COUNT
}

/// The share of this thread; given out in turn, so that a few busy threads each have their own.
pub(crate) fn own() -> usize {
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let index = NEXT.fetch_add(1, Ordering::Relaxed) % count();
            own.set(Some(index));
            index
        })
    })
}
