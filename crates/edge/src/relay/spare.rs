//! Buffers for heads and small bodies, which a thread uses again: asking the allocator for one as large as a page for each
//! request, and giving it back, takes longer than filling it.

use std::cell::RefCell;
use std::mem;
use std::ops::{Deref, DerefMut};

/// What one begins with.
const BYTES: usize = 2 << 10;
/// Larger ones are not kept.
const BYTES_MAX: usize = 16 << 10;
/// How many a thread keeps.
const KEPT_MAX: usize = 64;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, which goes back to its thread when it is dropped.
#[derive(Debug)]
pub(crate) struct Spare(Vec<u8>);

impl Spare {
    pub(crate) fn take() -> Self {
        Self(KEPT.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(BYTES)))
    }
}

impl Deref for Spare {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Spare {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let mut buffer = mem::take(&mut self.0);
        if buffer.capacity() > BYTES_MAX {
            return;
        }
        buffer.clear();
        // Where the thread ends, there is nothing to keep it in.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT_MAX {
                kept.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_one_is_in_none_that_is_taken_later() {
        let mut first = Spare::take();
        first.extend_from_slice(b"somebody's");
        let place = first.as_ptr();
        drop(first);
        let second = Spare::take();
        assert_eq!((second.as_ptr(), second.len()), (place, 0));
        let mut large = Spare::take();
        large.resize(BYTES_MAX + 1, 0);
        drop(large);
        assert!(Spare::take().capacity() <= BYTES_MAX, "what is large goes back to the allocator");
    }
}
