//! `_redirects` as Netlify reads it: `from [key=value …] [to] [status[!]] [Condition=a,b …]`.

use std::collections::BTreeMap;

use super::parse::Raw;
use crate::reject::Reason;
use crate::text::{leading_integer, words};

/// Reads one line that is neither empty nor a comment.
pub(crate) fn parse(line: &str) -> Result<Raw, Reason> {
    let mut parts = words(line).take_while(|word| !word.starts_with('#'));
    let Some(from) = parts.next() else { return Err(Reason::NoTarget) };
    let parts: Vec<&str> = parts.collect();
    let Some(first) = parts.first() else { return Err(Reason::NoTarget) };
    let (query, to, last) = if leading_integer(first).is_some() {
        (&[][..], None, parts.as_slice())
    } else {
        let at = parts.iter().position(|part| is_target(part)).ok_or(Reason::Target)?;
        let (query, rest) = parts.split_at(at);
        let (to, last) = rest.split_first().ok_or(Reason::Target)?;
        (query, Some((*to).to_owned()), last)
    };
    let (status, force) = match last.first() {
        None => (None, false),
        Some(status) => {
            let number = leading_integer(status).ok_or_else(|| Reason::Status((*status).to_owned()))?;
            (Some(number), status.ends_with('!'))
        }
    };
    let mut conditions = pairs(last.get(1..).unwrap_or_default());
    let signed = conditions.contains_key("Sign") || conditions.contains_key("signed");
    conditions.retain(|key, _| key != "Sign" && key != "signed");
    let conditions = conditions.into_iter().filter_map(|(key, value)| Some((key, lists(value?)))).collect();
    let query = pairs(query).into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    Ok(Raw { from: from.to_owned(), query, to, status, force, conditions, signed, headers: Vec::new() })
}

/// Whether a word is a target.
pub(crate) fn is_target(word: &str) -> bool {
    word.starts_with('/') || is_url(word)
}

/// Whether an address names a host.
pub(crate) fn is_url(word: &str) -> bool {
    word.starts_with("http://") || word.starts_with("https://")
}

/// The members of a comma-separated list.
pub(crate) fn lists(value: String) -> Vec<String> {
    crate::text::trim(&value).split(',').map(|member| crate::text::trim(member).to_owned()).collect()
}

/// `key=value`; the last one where a key is there twice. What follows a second `=` is left out.
fn pairs(words: &[&str]) -> BTreeMap<String, Option<String>> {
    let pair = |word: &&str| {
        let mut halves = word.split('=');
        let key = halves.next().unwrap_or_default().to_owned();
        (key, halves.next().map(str::to_owned))
    };
    words.iter().map(pair).collect()
}
