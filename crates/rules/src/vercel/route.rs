//! A redirect, a rewrite or a list of header fields of `vercel.json`, compiled.

use super::conditions::{Condition, Has};
use super::source::{Name, expression, parse};
use super::template::{Names, Piece};
use crate::ask::Ask;
use crate::limits::VERCEL_INSTRUCTIONS_MAX;
use crate::regex::{Budget, Captures, Case, Regex};
use crate::reject::Reason;

/// The paths and requests that an entry is for.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    regex: Regex,
    has: Vec<Condition>,
    missing: Vec<Condition>,
}

/// How much the expressions of one file may still come to.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(VERCEL_INSTRUCTIONS_MAX)
    }
}

impl Room {
    /// Makes room for an entry; refused where there is none.
    pub(crate) fn take(&mut self, matcher: &Matcher) -> Result<(), Reason> {
        self.0 = self.0.checked_sub(matcher.weight()).ok_or(Reason::TooMuch)?;
        Ok(())
    }
}

/// What a request has matched.
#[derive(Debug)]
pub(crate) struct Match<'r> {
    path: &'r str,
    captures: Captures,
    conditions: Vec<(String, String)>,
}

/// Reads a source; the second are the names of its groups.
fn compile_source(source: &str) -> Result<(Regex, Vec<Name>), Reason> {
    let (expression, groups) = expression(&parse(source, "/")?);
    Ok((Regex::new(&expression, Case::Folded)?, groups))
}

impl Matcher {
    /// Compiles an entry; the second are the names that its other texts may use.
    pub(crate) fn new(source: &str, has: &[Has], missing: &[Has]) -> Result<(Self, Names), Reason> {
        let (regex, groups) = compile_source(source)?;
        let mut captured: Vec<String> = Vec::new();
        for name in has.iter().flat_map(Has::names) {
            if !captured.contains(&name) {
                captured.push(name);
            }
        }
        let compile = |list: &[Has]| list.iter().cloned().map(Condition::new).collect::<Result<Vec<_>, _>>();
        let matcher = Self { regex, has: compile(has)?, missing: compile(missing)? };
        Ok((matcher, Names::new(&groups, &captured)))
    }

    fn weight(&self) -> usize {
        self.regex.weight() + self.has.iter().chain(&self.missing).map(Condition::weight).sum::<usize>()
    }

    /// Whether it looks at more of a request than its path.
    pub(crate) fn has_conditions(&self) -> bool {
        !(self.has.is_empty() && self.missing.is_empty())
    }

    /// Whether a path is one of its own.
    pub(crate) fn is_for(&self, path: &str, budget: &mut Budget) -> bool {
        self.regex.is_match(path, budget)
    }

    pub(crate) fn matches<'r>(&self, ask: &Ask<'r>, budget: &mut Budget) -> Option<Match<'r>> {
        let captures = self.regex.captures(ask.path, budget)?;
        let mut conditions = Vec::new();
        let has = self.has.iter().all(|condition| condition.meets(ask, budget, &mut conditions));
        let missing = !self.missing.iter().any(|condition| condition.meets(ask, budget, &mut Vec::new()));
        // A condition that could not be looked at is not one that is missing.
        (has && missing && !budget.is_spent()).then_some(Match { path: ask.path, captures, conditions })
    }
}

impl Match<'_> {
    /// A text with its places filled in. What comes from the path is as it was sent; what comes from elsewhere is escaped.
    pub(crate) fn fill(&self, pieces: &[Piece]) -> String {
        let mut filled = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Group(n) => filled.push_str(self.captures.get(self.path, *n).unwrap_or_default()),
                Piece::Condition(name) => {
                    let value = self.conditions.iter().rfind(|(other, _)| other == name);
                    for byte in value.map_or("", |(_, value)| value).bytes() {
                        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                            filled.push(char::from(byte));
                        } else {
                            filled.push_str(percent_encoding::percent_encode_byte(byte));
                        }
                    }
                }
            }
        }
        filled
    }
}
