//! `_headers` as Cloudflare reads and applies it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::lines::join;
use super::{HeaderBlock, HeaderChange, name};
use crate::ask::Ask;
use crate::cloudflare::{LINE_BYTES_MAX, Template, address, fill, holds_splat_twice};
use crate::regex::Budget;
use crate::reject::Reason;
use crate::text::{lines, trim};

/// The most blocks.
const BLOCKS_MAX: usize = 100;

/// Reads a file. Rejected lines go to `reject` with their number.
pub(crate) fn parse(text: &str, mut reject: impl FnMut(usize, &str, Reason)) -> Vec<HeaderBlock> {
    let mut blocks: Vec<HeaderBlock> = Vec::new();
    let mut current: Option<(usize, HeaderBlock)> = None;
    let mut skips = false;
    for (number, line) in lines(text) {
        if line.encode_utf16().count() > LINE_BYTES_MAX {
            reject(number, line, Reason::LineTooLong(LINE_BYTES_MAX));
            continue;
        }
        if is_address(line) {
            if blocks.len() >= BLOCKS_MAX {
                reject(number, line, Reason::TooManyRules(BLOCKS_MAX));
                return merged(blocks);
            }
            close(&mut blocks, current.take(), &mut reject);
            match open(line) {
                Ok(block) => current = Some((number, block)),
                Err(reason) => reject(number, line, reason),
            }
            skips = current.is_none();
            continue;
        }
        if !skips && let Err(reason) = add(current.as_mut().map(|(_, block)| block), line) {
            reject(number, line, reason);
        }
    }
    close(&mut blocks, current, &mut reject);
    merged(blocks)
}

/// Blocks by path: the last one of a path stands at the place of the first.
fn merged(blocks: Vec<HeaderBlock>) -> Vec<HeaderBlock> {
    let mut merged: Vec<HeaderBlock> = Vec::new();
    for block in blocks {
        match merged.iter_mut().find(|other| other.path == block.path) {
            Some(other) => *other = block,
            None => merged.push(block),
        }
    }
    merged
}

fn is_address(line: &str) -> bool {
    let scheme = line.split_once("://").map(|(scheme, _)| scheme);
    line.starts_with('/') || scheme.is_some_and(|scheme| !scheme.is_empty() && !scheme.contains(crate::text::is_space))
}

fn open(line: &str) -> Result<HeaderBlock, Reason> {
    let path = address(line, false, true, false)?;
    if holds_splat_twice(&path) {
        return Err(Reason::Wildcards);
    }
    Template::new(&path)?;
    Ok(HeaderBlock { path, ..HeaderBlock::default() })
}

fn close(
    blocks: &mut Vec<HeaderBlock>,
    block: Option<(usize, HeaderBlock)>,
    reject: &mut impl FnMut(usize, &str, Reason),
) {
    match block {
        Some((number, block)) if block.set.is_empty() && block.unset.is_empty() => {
            reject(number, &block.path, Reason::NoHeaders);
        }
        Some((_, block)) => blocks.push(block),
        None => {}
    }
}

fn add(block: Option<&mut HeaderBlock>, line: &str) -> Result<(), Reason> {
    let Some((name, value)) = line.split_once(':') else {
        let block = block.ok_or(Reason::HeaderBeforePath)?;
        let unset = line.strip_prefix("! ").ok_or(Reason::NoPair)?;
        block.unset.push(name::admit_name(trim(unset))?);
        return Ok(());
    };
    let (name, value) = (trim(name), trim(value));
    if name.is_empty() {
        return Err(Reason::NoHeaderName);
    }
    if name.contains(' ') {
        return Err(Reason::HeaderName(name.to_owned()));
    }
    if value.is_empty() {
        return Err(Reason::NoHeaderValue);
    }
    let block = block.ok_or(Reason::HeaderBeforePath)?;
    let (name, value) = name::admit(name, value)?;
    join(block, name, value)
}

/// Compiled blocks, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    blocks: Vec<(Template, HeaderBlock)>,
}

impl Headers {
    pub(crate) fn new(blocks: impl IntoIterator<Item = HeaderBlock>) -> Self {
        let compiled = blocks.into_iter().filter_map(|block| Some((Template::new(&block.path).ok()?, block)));
        Self { blocks: compiled.collect() }
    }

    /// Whether a block is for requests of certain hosts.
    pub(crate) fn know_hosts(&self) -> bool {
        self.blocks.iter().any(|(template, _)| template.knows_hosts())
    }

    /// Every block that is for a request, in order: fields are first taken away, then set where no block before has set them,
    /// else added.
    pub(crate) fn find<'s>(&'s self, ask: &Ask<'_>, budget: &mut Budget, changes: &mut Vec<HeaderChange<'s>>) {
        let mut set = HashSet::new();
        for (template, block) in &self.blocks {
            let Some(values) = template.values(ask, budget) else { continue };
            changes.extend(block.unset.iter().map(|name| HeaderChange::Remove(name)));
            for (name, value) in &block.set {
                let value =
                    if values.is_empty() { Cow::Borrowed(value.as_str()) } else { Cow::Owned(fill(value, &values)) };
                let first = set.insert(name.as_str());
                changes.push(if first { HeaderChange::Set(name, value) } else { HeaderChange::Append(name, value) });
            }
        }
    }
}
