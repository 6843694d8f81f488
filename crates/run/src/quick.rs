//! A quicker way to compile the same, where it is known to come to the same: pure.
//!
//! Its result counts only where what a user gets to read is what the plain way would have printed: where headers were read before, only
//! that of a compiler that ended well and had nothing to say.

use std::collections::BTreeSet;

use serde::Deserialize;
use skylift_model::run::{File, Job, RunStatus, Step};

use crate::headers::SET;
use crate::language::{BOX, BUILT};

/// What a language's file says of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quick {
    /// A linker besides the usual one, by the name that the compiler knows it by.
    pub(crate) linker: Option<String>,
    /// Words of sources with which the usual one may have something to say that the other has not.
    #[serde(default)]
    linker_unless: Vec<String>,
    /// Options with which the plain way is taken.
    #[serde(default)]
    unless: Vec<String>,
    /// Makes a set of headers of `/box/set.h`, where the compiler can use one.
    #[serde(default)]
    precompile: Vec<String>,
    /// The headers that a set may have.
    #[serde(default)]
    pub(crate) headers: BTreeSet<String>,
}

impl Quick {
    /// Whether what a compiler is told may be compiled so.
    pub(crate) fn fits(&self, options: &[String]) -> bool {
        !options.iter().any(|option| self.unless.contains(option))
    }

    /// Whether the other linker would have as much to say as the usual one: of several sources, and of sections that
    /// somebody has made by hand, it has not.
    pub(crate) fn links_alike(&self, job: &Job, sources: usize) -> bool {
        let holds = |bytes: &[u8], word: &String| bytes.windows(word.len().max(1)).any(|part| part == word.as_bytes());
        let is_odd = |file: &File| self.linker_unless.iter().any(|word| holds(&file.bytes, word));
        sources == 1 && !job.files.iter().any(is_odd)
    }

    /// The same words with those of this way.
    pub(crate) fn words(plain: &[String], linker: Option<&str>, set: Option<String>) -> Vec<String> {
        let mut words = plain.to_vec();
        let linker = linker.map(|linker| format!("-fuse-ld={linker}"));
        let set = set.into_iter().flat_map(|set| ["-include".to_owned(), set]);
        let more: Vec<String> = linker.into_iter().chain(set).collect();
        words.splice(1.min(words.len())..1.min(words.len()), more);
        words
    }

    /// What makes a set for who compiles with these options, where that can be.
    pub(crate) fn precompile(&self, options: &[String]) -> Option<Vec<String>> {
        if self.precompile.is_empty() {
            return None;
        }
        // A library is nothing to who does not link, and is told as that.
        let options: Vec<_> = options.iter().filter(|option| !option.starts_with("-l")).cloned().collect();
        let mut words = Vec::new();
        for word in &self.precompile {
            match word.as_str() {
                "{options}" => words.extend(options.iter().cloned()),
                word => words.push(word.replace("{built}", &format!("{BOX}/{BUILT}"))),
            }
        }
        Some(words)
    }
}

/// What is left by a compiler that has made a set.
pub(crate) fn precompiled() -> String {
    format!("{BUILT}/{SET}.gch")
}

/// What becomes of a quick compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quickly {
    /// It is what the plain way would have come to.
    Done,
    /// Nobody knows; the plain way is to tell.
    Unclear,
}

/// Whether a program wants its stack executable, which the usual linker warns of.
pub(crate) fn wants_executable_stack(program: &[u8]) -> bool {
    executable_stack(program).unwrap_or(true)
}

/// Of an executable of 64 bits in the order of this machine; nothing where it is no such thing.
fn executable_stack(program: &[u8]) -> Option<bool> {
    const STACK: u32 = 0x6474_e551;
    const EXECUTABLE: u32 = 1;
    let half = |at: usize| Some(usize::from(u16::from_ne_bytes(*program.get(at..)?.first_chunk()?)));
    let word = |at: usize| Some(u32::from_ne_bytes(*program.get(at..)?.first_chunk()?));
    let long = |at: usize| usize::try_from(u64::from_ne_bytes(*program.get(at..)?.first_chunk()?)).ok();
    if program.first_chunk() != Some(b"\x7fELF\x02") {
        return None;
    }
    let (table, size, count) = (long(32)?, half(54)?, half(56)?);
    for number in 0..count {
        let at = table.checked_add(number.checked_mul(size)?)?;
        if word(at)? == STACK {
            return Some(word(at.checked_add(4)?)? & EXECUTABLE != 0);
        }
    }
    None
}

/// How compilers tell that it was the linker that failed.
const OF_THE_LINKER: &[u8] = b"collect2:";

/// Without a set of headers only the linker is another, so that what failed before it is the plain way's already. A limit of time that
/// was met in silence is met: the plain way would only take longer.
pub(crate) fn judge(step: &Step, with_set: bool) -> Quickly {
    let is_silent = step.stdout.is_empty() && step.stderr.is_empty();
    let of_the_linker = || step.stderr.windows(OF_THE_LINKER.len()).any(|part| part == OF_THE_LINKER);
    match step.status {
        RunStatus::Ok | RunStatus::TimeLimit | RunStatus::CpuLimit if is_silent => Quickly::Done,
        RunStatus::Ok => Quickly::Unclear,
        _ if !with_set && !step.stderr_truncated && !of_the_linker() => Quickly::Done,
        _ => Quickly::Unclear,
    }
}

#[cfg(test)]
mod tests;
