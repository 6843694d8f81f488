//! Which of what is kept goes when there is too much: pure.

use std::collections::{BTreeMap, HashMap};

use skylift_model::Digest;

/// Keys with their sizes, in the order in which they were last used.
#[derive(Debug)]
pub(super) struct Shelf {
    bytes_max: u64,
    bytes: u64,
    /// Size, and when it was last used.
    kept: HashMap<Digest, (u64, u64)>,
    by_use: BTreeMap<u64, Digest>,
    uses: u64,
}

impl Shelf {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, kept: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Whether it is here, and if so that it was used.
    pub(super) fn touch(&mut self, key: &Digest) -> bool {
        let Some((bytes, _)) = self.kept.get(key).copied() else { return false };
        self.insert(*key, bytes);
        true
    }

    /// Adds one, and returns what has to go for it.
    pub(super) fn put(&mut self, key: Digest, bytes: u64) -> Vec<Digest> {
        self.insert(key, bytes);
        let mut gone = Vec::new();
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.by_use.first_key_value().map(|(_, key)| *key)
        {
            self.forget(&oldest);
            gone.push(oldest);
        }
        gone
    }

    pub(super) fn forget(&mut self, key: &Digest) {
        if let Some((bytes, used)) = self.kept.remove(key) {
            self.by_use.remove(&used);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    fn insert(&mut self, key: Digest, bytes: u64) {
        self.forget(&key);
        self.uses = self.uses.saturating_add(1);
        self.kept.insert(key, (bytes, self.uses));
        self.by_use.insert(self.uses, key);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_no_more_than_must() {
        let mut shelf = Shelf::new(100);
        assert!((1..=3).all(|number| shelf.put(key(number), 30).is_empty()));
        assert!(shelf.touch(&key(1)));
        assert_eq!(shelf.put(key(4), 30), [key(2)]);
        assert!(!shelf.touch(&key(2)));
        // The same again is no second one.
        assert!(shelf.put(key(4), 40).is_empty());
        assert_eq!(shelf.bytes, 100);
        assert_eq!(shelf.put(key(5), 90), [key(3), key(1), key(4)]);
        assert_eq!((shelf.bytes, shelf.kept.len(), shelf.by_use.len()), (90, 1, 1));
    }

    #[test]
    fn where_nothing_may_be_kept_nothing_is() {
        let mut shelf = Shelf::new(0);
        assert_eq!(shelf.put(key(1), 1), [key(1)]);
        assert!(!shelf.touch(&key(1)));
    }
}
