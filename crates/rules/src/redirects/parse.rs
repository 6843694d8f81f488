//! From what a file says to the redirects that apply, in three steps: what Netlify reads, what Netlify accepts, what we accept.

use std::collections::{BTreeMap, HashSet};

use super::lines::is_url;
use super::{Conditions, Origin, Redirect};
use crate::limits::{PATTERNS_MAX, RULE_BYTES_MAX, RULES_MAX, WILDCARDS_MAX};
use crate::redirects::pattern::Pattern;
use crate::reject::Reason;
use crate::text::has_control;

/// A redirect as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) from: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) to: Option<String>,
    pub(crate) status: Option<i64>,
    pub(crate) force: bool,
    pub(crate) conditions: BTreeMap<String, Vec<String>>,
    pub(crate) signed: bool,
    pub(crate) headers: Vec<(String, String)>,
}

/// A redirect that Netlify would take.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Taken {
    from: String,
    origin: Option<(String, String)>,
    path: String,
    query: BTreeMap<String, String>,
    to: String,
    status: Option<i64>,
    force: bool,
    conditions: BTreeMap<String, Vec<String>>,
    signed: bool,
    headers: Vec<(String, String)>,
}

/// What Netlify takes of what it has read.
pub(crate) fn take(raw: Raw) -> Result<Taken, Reason> {
    let to = match raw.to {
        Some(to) => to,
        None => {
            let stem = raw.from.strip_suffix("/*").ok_or(Reason::NoTarget)?;
            let rewrites = raw.status.is_some_and(|status| (200..300).contains(&status));
            if rewrites { format!("{stem}/:splat") } else { return Err(Reason::NoTarget) }
        }
    };
    let (origin, path) = if is_url(&raw.from) { split_url(&raw.from)? } else { (None, raw.from.clone()) };
    if path.starts_with("/.netlify") {
        return Err(Reason::Reserved);
    }
    let conditions = raw.conditions.into_iter().map(|(key, values)| (capitalised(key), values)).collect();
    Ok(Taken {
        from: raw.from,
        origin,
        path,
        query: raw.query,
        to,
        status: raw.status,
        force: raw.force,
        conditions,
        signed: raw.signed,
        headers: raw.headers,
    })
}

/// What we take of it.
pub(crate) fn admit(taken: Taken) -> Result<Redirect, Reason> {
    let mut from = taken.path;
    if !from.starts_with('/') {
        if from.contains("://") {
            return Err(Reason::Origin);
        }
        from.insert(0, '/');
    }
    if from.len() > RULE_BYTES_MAX || taken.to.len() > RULE_BYTES_MAX {
        return Err(Reason::LineTooLong(RULE_BYTES_MAX));
    }
    let stars = from.matches('*').count();
    if stars > 1 || stars == 1 && !from.split('/').any(|part| part.ends_with('*')) {
        return Err(Reason::Star);
    }
    if taken.to.starts_with("//") || taken.to.starts_with("/\\") {
        return Err(Reason::ForeignTarget);
    }
    if !taken.to.starts_with('/') && !is_url(&taken.to) {
        return Err(Reason::Target);
    }
    if taken.signed {
        return Err(Reason::Signed);
    }
    let texts = [&from, &taken.to].into_iter().chain(taken.query.iter().flat_map(|(key, value)| [key, value]));
    if texts.into_iter().any(|text| has_control(text) || text.contains('\t')) {
        return Err(Reason::Control);
    }
    let origin = taken.origin.map(|(scheme, host)| Origin { scheme: Some(scheme), host });
    Ok(Redirect {
        origin,
        from,
        query: taken.query,
        to: taken.to,
        status: admit_status(taken.status)?,
        force: taken.force,
        conditions: admit_conditions(taken.conditions)?,
        headers: taken.headers,
    })
}

/// A redirect, or a page with a status that may have one.
fn admit_status(status: Option<i64>) -> Result<u16, Reason> {
    let status = status.unwrap_or(301);
    match u16::try_from(status) {
        Ok(204..=206 | 304) => Err(Reason::StatusRange(status)),
        Ok(code @ 200..=599) => Ok(code),
        _ => Err(Reason::StatusRange(status)),
    }
}

fn admit_conditions(given: BTreeMap<String, Vec<String>>) -> Result<Conditions, Reason> {
    let mut conditions = Conditions::default();
    for (key, values) in given {
        let list = match key.as_str() {
            "Country" => &mut conditions.country,
            "Language" => &mut conditions.language,
            "Cookie" => &mut conditions.cookie,
            "Role" => &mut conditions.role,
            _ => return Err(Reason::Condition(key)),
        };
        *list = Some(values);
    }
    Ok(conditions)
}

fn capitalised(key: String) -> String {
    match key.as_str() {
        "role" => "Role".to_owned(),
        "language" => "Language".to_owned(),
        "country" => "Country".to_owned(),
        _ => key,
    }
}

/// The scheme, host and path of an address; queries and fragments are no part of a rule.
fn split_url(url: &str) -> Result<(Option<(String, String)>, String), Reason> {
    let (scheme, rest) = url.split_once("://").ok_or(Reason::Origin)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority).to_ascii_lowercase();
    let host = host.strip_suffix(if scheme == "https" { ":443" } else { ":80" }).unwrap_or(&host);
    let fits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>^`{}\\".contains(&b))
        && path.split('/').all(|part| part != "." && part != "..");
    if !fits || !plain {
        return Err(Reason::Origin);
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((Some((scheme.to_owned(), host.to_owned())), path.to_owned()))
}

/// Rules one after another, bounded; `_redirects` first, then `netlify.toml`.
#[derive(Debug, Default)]
pub(crate) struct Collected<P> {
    taken: Vec<(P, Taken)>,
}

impl<P: Clone> Collected<P> {
    pub(crate) fn new() -> Self {
        Self { taken: Vec::new() }
    }

    pub(crate) fn push(&mut self, place: P, taken: Taken) {
        self.taken.push((place, taken));
    }

    /// The redirects that apply. Of rules that are there twice, word for word, only the last stays: so does Netlify.
    pub(crate) fn finish(mut self, mut reject: impl FnMut(P, &str, Reason)) -> Vec<Redirect> {
        let mut seen = HashSet::new();
        let mut kept: Vec<bool> = self.taken.iter().rev().map(|(_, taken)| seen.insert(taken)).collect();
        kept.reverse();
        drop(seen);
        let mut counts = Counts::default();
        let mut redirects = Vec::new();
        for ((place, taken), _) in self.taken.drain(..).zip(kept).filter(|(_, kept)| *kept) {
            let from = taken.from.clone();
            match admit(taken).and_then(|redirect| counts.admit(&redirect).map(|()| redirect)) {
                Ok(redirect) => redirects.push(redirect),
                Err(reason @ (Reason::TooManyRules(_) | Reason::TooManyPatterns(_) | Reason::TooManyWildcards(_))) => {
                    reject(place, &from, reason);
                    break;
                }
                Err(reason) => reject(place, &from, reason),
            }
        }
        redirects
    }
}

/// How many rules there are, by what they cost a request.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    all: usize,
    patterns: usize,
    wildcards: usize,
}

impl Counts {
    fn admit(&mut self, redirect: &Redirect) -> Result<(), Reason> {
        self.all += 1;
        let pattern = Pattern::new(&redirect.from);
        if matches!(pattern, Pattern::Parts(_)) {
            self.patterns += 1;
            self.wildcards += usize::from(pattern.first_text().is_none());
        }
        if self.all > RULES_MAX {
            return Err(Reason::TooManyRules(RULES_MAX));
        }
        if self.patterns > PATTERNS_MAX {
            return Err(Reason::TooManyPatterns(PATTERNS_MAX));
        }
        if self.wildcards > WILDCARDS_MAX { Err(Reason::TooManyWildcards(WILDCARDS_MAX)) } else { Ok(()) }
    }
}
