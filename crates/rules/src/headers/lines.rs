//! `_headers` as Netlify reads it: lines with a path, each followed by lines with `Name: value`.

use super::{HeaderBlock, name};
use crate::limits::{HEADER_BLOCKS_MAX, HEADER_FIELDS_MAX, RULE_BYTES_MAX};
use crate::reject::Reason;
use crate::text::{lines, trim};

/// Reads a file. Rejected lines go to `reject` with their number.
pub(crate) fn parse(text: &str, mut reject: impl FnMut(usize, &str, Reason)) -> Vec<HeaderBlock> {
    let mut blocks: Vec<HeaderBlock> = Vec::new();
    let mut skips = false;
    let mut bare: Option<(usize, &str)> = None;
    for (number, line) in lines(text) {
        if line.starts_with('/') {
            if let Some((number, path)) = bare.replace((number, line)) {
                reject(number, path, Reason::NoHeaders);
            }
            skips = line.len() > RULE_BYTES_MAX;
            if skips {
                bare = None;
                reject(number, line, Reason::LineTooLong(RULE_BYTES_MAX));
            } else if blocks.len() >= HEADER_BLOCKS_MAX {
                bare = None;
                reject(number, line, Reason::TooManyRules(HEADER_BLOCKS_MAX));
                break;
            } else {
                blocks.push(HeaderBlock { path: line.to_owned(), ..HeaderBlock::default() });
            }
            continue;
        }
        bare = None;
        if skips {
            continue;
        }
        if !line.contains(':') {
            reject(number, line, Reason::NeitherPathNorHeader);
            continue;
        }
        if let Err(reason) = field(line).and_then(|(name, value)| add(blocks.last_mut(), name, value)) {
            reject(number, line, reason);
        }
    }
    if let Some((number, path)) = bare {
        reject(number, path, Reason::NoHeaders);
    }
    blocks.retain_mut(|block| {
        for (_, value) in &mut block.set {
            *value = spaced(value);
        }
        !block.set.is_empty()
    });
    without_repeats(blocks)
}

fn field(line: &str) -> Result<(&str, &str), Reason> {
    let (name, value) = line.split_once(':').ok_or(Reason::NoPair)?;
    match (trim(name), trim(value)) {
        ("", _) => Err(Reason::NoHeaderName),
        (_, "") => Err(Reason::NoHeaderValue),
        pair => Ok(pair),
    }
}

/// Adds a field to a block, after a comma where it is there already.
fn add(block: Option<&mut HeaderBlock>, name: &str, value: &str) -> Result<(), Reason> {
    let block = block.ok_or(Reason::HeaderBeforePath)?;
    let (name, value) = name::admit(name, value)?;
    join(block, name, value)
}

/// The same for a field that is admitted already.
pub(crate) fn join(block: &mut HeaderBlock, name: String, value: String) -> Result<(), Reason> {
    if let Some((_, there)) = block.set.iter_mut().find(|(other, _)| *other == name) {
        if there.len() + value.len() > crate::limits::HEADER_BYTES_MAX {
            return Err(Reason::LineTooLong(crate::limits::HEADER_BYTES_MAX));
        }
        there.push_str(", ");
        there.push_str(&value);
    } else if block.set.len() >= HEADER_FIELDS_MAX {
        return Err(Reason::TooManyRules(HEADER_FIELDS_MAX));
    } else {
        block.set.push((name, value));
    }
    Ok(())
}

/// A value with one space after each comma and none before it.
pub(crate) fn spaced(value: &str) -> String {
    value.split(',').map(trim).collect::<Vec<_>>().join(", ")
}

/// Blocks that are there twice are kept once, at their last place.
pub(crate) fn without_repeats(blocks: Vec<HeaderBlock>) -> Vec<HeaderBlock> {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<HeaderBlock> = Vec::new();
    for block in blocks.into_iter().rev() {
        let mut fields = block.set.clone();
        fields.sort_unstable();
        if seen.insert((block.path.clone(), fields)) {
            kept.push(block);
        }
    }
    kept.reverse();
    kept
}
