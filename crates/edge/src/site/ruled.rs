//! Rules of a site, and the heads that they make of its files where only the path decides: rendered once for each form of a file
//! and each spelling of its name, and kept as long as there is room.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use skylift_rules::Rules;

use crate::path::Ending;

/// The room that each form of a file adds for such heads, and the most of it that a site has. What finds none is rendered again
/// for every request.
const ROOM_BYTES_PER_FORM: usize = 1 << 10;
const ROOM_BYTES_MAX: usize = 16 << 20;
/// What keeping one costs besides its bytes.
const NODE_BYTES: usize = 96;

/// The rules of a site.
#[derive(Debug)]
pub(crate) struct Ruled {
    pub(crate) rules: Rules,
    /// How many bytes of heads may still be kept.
    room: AtomicUsize,
}

impl Ruled {
    /// Of a site with so many forms of files.
    pub(super) fn new(rules: Rules, forms: usize) -> Self {
        let room = forms.saturating_mul(ROOM_BYTES_PER_FORM).min(ROOM_BYTES_MAX);
        Self { rules, room: AtomicUsize::new(room) }
    }

    /// How many bytes of heads it may come to keep; none are kept before the first request.
    pub(super) fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = |room: usize| room.checked_sub(bytes);
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

/// By which spelling of its name a file was asked for, and whether it is sent. `/a/index.html`, `/a/index`, `/a/index/`, `/a` and
/// `/a/` are all that a file can have: no two of them are as long and end alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) key_bytes: usize,
    pub(crate) ending: Ending,
    /// Whether the answer is 304.
    pub(crate) not_modified: bool,
}

/// The heads of one form of a file. The list only grows, to ten at most.
#[derive(Debug, Default)]
pub(crate) struct Heads(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    asked: Asked,
    /// `None` where a request has to be looked at as a whole.
    head: Option<Box<[u8]>>,
    next: Heads,
}

impl Heads {
    /// The head that was made for this before, else what `make` makes.
    pub(crate) fn get(
        &self,
        asked: Asked,
        ruled: &Ruled,
        make: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Cow<'_, [u8]>> {
        let mut last = self;
        while let Some(node) = last.0.get() {
            if node.asked == asked {
                return node.head.as_deref().map(Cow::Borrowed);
            }
            last = &node.next;
        }
        let head = make();
        if ruled.take(NODE_BYTES + head.as_ref().map_or(0, Vec::len)) {
            last.push(Node { asked, head: head.clone().map(Vec::into_boxed_slice), next: Self::default() });
        }
        head.map(Cow::Owned)
    }

    /// Puts a node at the end, unless another thread has put the same there.
    fn push(&self, node: Node) {
        let asked = node.asked;
        let (mut place, mut node) = (self, Box::new(node));
        while let Err(back) = place.0.set(node) {
            let Some(there) = place.0.get() else { return };
            if there.asked == asked {
                return;
            }
            (place, node) = (&there.next, back);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key_bytes: usize, ending: Ending) -> Asked {
        Asked { key_bytes, ending, not_modified: false }
    }

    fn never() -> Option<Vec<u8>> {
        panic!("it was made before")
    }

    #[test]
    fn a_head_is_made_once_for_each_spelling() {
        let (heads, ruled) = (Heads::default(), Ruled::new(Rules::default(), 4));
        for round in 0..2 {
            for (number, ending) in [(1, Ending::Name), (1, Ending::Slash), (6, Ending::Name)] {
                let made = || Some(vec![number as u8; 3]);
                let head = match round {
                    0 => heads.get(asked(number, ending), &ruled, made),
                    _ => heads.get(asked(number, ending), &ruled, never),
                };
                assert_eq!(head.as_deref(), Some(&[number as u8; 3][..]));
            }
            let odd = asked(9, Ending::Name);
            let head = if round == 0 { heads.get(odd, &ruled, || None) } else { heads.get(odd, &ruled, never) };
            assert_eq!(head, None);
        }
    }

    #[test]
    fn what_finds_no_room_is_made_again_and_right() {
        let (heads, ruled) = (Heads::default(), Ruled::new(Rules::default(), 1));
        let (fits, too_much) = (vec![1; 100], vec![2; ROOM_BYTES_PER_FORM]);
        assert_eq!(
            heads.get(asked(1, Ending::Name), &ruled, || Some(too_much.clone())).as_deref(),
            Some(&too_much[..])
        );
        assert_eq!(ruled.room(), ROOM_BYTES_PER_FORM);
        heads.get(asked(2, Ending::Name), &ruled, || Some(fits.clone()));
        assert_eq!(ruled.room(), ROOM_BYTES_PER_FORM - NODE_BYTES - fits.len());
        assert_eq!(heads.get(asked(2, Ending::Name), &ruled, never).as_deref(), Some(&fits[..]));
        let again = heads.get(asked(1, Ending::Name), &ruled, || Some(too_much.clone()));
        assert_eq!(again.as_deref(), Some(&too_much[..]), "control: it is not kept");
    }

    #[test]
    fn threads_that_make_heads_at_once_lose_none() {
        for _ in 0..50 {
            let (heads, ruled) = (Heads::default(), Ruled::new(Rules::default(), 100));
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (heads, ruled) = (&heads, &ruled);
                    scope.spawn(move || {
                        for number in (0..10).map(|number| (number + thread * 3) % 10) {
                            let head = heads.get(asked(number, Ending::Name), ruled, || Some(vec![number as u8]));
                            assert_eq!(head.as_deref(), Some(&[number as u8][..]));
                        }
                    });
                }
            });
            for number in 0..10 {
                assert!(heads.get(asked(number, Ending::Name), &ruled, never).is_some());
            }
        }
    }
}
