//! Which fields the answer to a request gets.

use std::borrow::Cow;

use super::pattern::{Pattern, lower};
use super::{HeaderBlock, HeaderChange};
use crate::regex::{Budget, InvalidRegex};

/// Compiled blocks, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    blocks: Vec<(Pattern, HeaderBlock)>,
}

impl Headers {
    /// Blocks whose path cannot be matched are left out; the parser has said so.
    pub(crate) fn new(blocks: impl IntoIterator<Item = HeaderBlock>) -> Self {
        let compiled = blocks.into_iter().filter_map(|block| Some((Pattern::new(&block.path).ok()?, block)));
        Self { blocks: compiled.collect() }
    }

    /// Whether a path can be one of a block.
    pub(crate) fn check(path: &str) -> Result<(), InvalidRegex> {
        Pattern::new(path).map(drop)
    }

    /// Every block that is for a path, in order: a later one overrides the same field of an earlier one.
    pub(crate) fn find<'s>(&'s self, path: &str, budget: &mut Budget, changes: &mut Vec<HeaderChange<'s>>) {
        if self.blocks.is_empty() {
            return;
        }
        let path = if path.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
            Cow::Owned(lower(path))
        } else {
            Cow::Borrowed(path)
        };
        for (pattern, block) in &self.blocks {
            if pattern.matches(&path, budget) {
                let set = block.set.iter().map(|(name, value)| HeaderChange::Set(name, Cow::Borrowed(value)));
                changes.extend(set);
            }
        }
    }
}
