//! Which redirect applies to a request: the first, top to bottom, whatever their number.
//!
//! Rules for exactly one path are found by that path, others by their first part where that is a text. The few that can match
//! any path are tried one by one. All three lists are in the order of the file and walked together.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Redirect;
use super::pattern::Pattern;
use super::rule::{Answer, Rule};
use crate::ask::Ask;
use crate::regex::Budget;

/// Compiled redirects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redirects {
    rules: Vec<Rule>,
    exact: HashMap<Box<str>, Vec<u32>>,
    by_first_part: HashMap<Box<str>, Vec<u32>>,
    any: Vec<u32>,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Hit<'s> {
    /// A rule, and where it leads to.
    Rule(&'s Rule, String),
    /// Only rules for somebody with a role.
    RoleMissing,
    /// Nothing.
    Nothing,
}

impl Redirects {
    pub(crate) fn new(redirects: impl IntoIterator<Item = Redirect>) -> Self {
        let mut compiled = Self::default();
        for redirect in redirects {
            let rule = Rule::new(redirect);
            let number = u32::try_from(compiled.rules.len()).unwrap_or(u32::MAX);
            match (&rule.pattern, rule.pattern.first_text()) {
                (Pattern::Exact(path), _) => compiled.exact.entry(path.as_str().into()).or_default().push(number),
                (Pattern::Parts(_), Some(text)) => {
                    compiled.by_first_part.entry(text.into()).or_default().push(number);
                }
                (Pattern::Parts(_), None) => compiled.any.push(number),
            }
            compiled.rules.push(rule);
        }
        compiled
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that applies.
    pub(crate) fn find(&self, ask: &Ask<'_>, budget: &mut Budget) -> Hit<'_> {
        let Some(path) = self.path(ask) else { return Hit::Nothing };
        let mut role_missing = false;
        for rule in self.candidates(&path) {
            if budget.take(rule.effort(ask)).is_none() {
                return Hit::Nothing;
            }
            let Some(spans) = rule.pattern.matches(&path) else { continue };
            match rule.answer(ask, &path, &spans) {
                Answer::To(to) if is_itself(rule, ask, &to) => {}
                Answer::To(to) => return Hit::Rule(rule, to),
                Answer::RoleMissing => role_missing = true,
                Answer::Loop => break,
                Answer::Pass => {}
            }
        }
        if role_missing { Hit::RoleMissing } else { Hit::Nothing }
    }

    /// Whether a file at this path is what is sent, whoever asks: no rule that overrules files is for it.
    pub(crate) fn spare_files_at(&self, path: &str, budget: &mut Budget) -> bool {
        self.candidates(path).all(|rule| {
            budget.take(rule.effort_at_most(path)).is_some()
                && !(rule.overrules_files() && rule.pattern.matches(path).is_some())
        })
    }

    fn path<'r>(&self, ask: &Ask<'r>) -> Option<Cow<'r, str>> {
        (!self.is_empty()).then(|| ask.decoded_path()).flatten()
    }

    /// The rules that may match a path, in the order of the file.
    fn candidates(&self, path: &str) -> impl Iterator<Item = &Rule> {
        let exact = self.exact.get(path.strip_suffix('/').unwrap_or(path)).map_or(&[][..], Vec::as_slice);
        let first = path.split('/').nth(1).unwrap_or_default();
        let by_part = self.by_first_part.get(first).map_or(&[][..], Vec::as_slice);
        Merged { lists: [exact, by_part, &self.any] }.filter_map(|number| self.rules.get(number as usize))
    }
}

/// A redirect to the very address that was asked for would never end, whatever the rule says.
fn is_itself(rule: &Rule, ask: &Ask<'_>, to: &str) -> bool {
    let leads_away = (300..400).contains(&rule.status);
    let without_fragment = to.split('#').next().unwrap_or(to);
    let local = without_fragment
        .strip_prefix(ask.scheme)
        .and_then(|rest| rest.strip_prefix("://"))
        .and_then(|rest| rest.strip_prefix(ask.host))
        .unwrap_or(without_fragment);
    let (path, query) = local.split_once('?').map_or((local, None), |(path, query)| (path, Some(query)));
    leads_away && path == ask.path && query.unwrap_or_default() == ask.query.unwrap_or_default()
}

/// Several ascending lists as one.
struct Merged<'l> {
    lists: [&'l [u32]; 3],
}

impl Iterator for Merged<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let least = self.lists.iter_mut().filter(|list| !list.is_empty()).min_by_key(|list| list.first().copied())?;
        let (number, rest) = least.split_first()?;
        *least = rest;
        Some(*number)
    }
}
