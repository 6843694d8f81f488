//! A redirect, compiled.

use super::conditions::{Conditions, Verdict};
use super::pattern::{Pattern, Spans};
use super::query;
use super::target::{Target, Values};
use super::{Origin, Redirect};
use crate::ask::Ask;
use crate::rules::PLAIN_BYTES_MAX;

/// What a rule says to a request that its path is for.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It leads there.
    To(String),
    /// It would, for somebody with a role.
    RoleMissing,
    /// It would lead to itself, again and again. No rule below it is asked either.
    Loop,
    /// It does not apply.
    Pass,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) status: u16,
    pub(crate) force: bool,
    pub(crate) headers: Vec<(String, String)>,
    origin: Option<Origin>,
    parameters: Vec<(String, Wanted)>,
    conditions: Conditions,
    target: Target,
    /// The part of the target that a request must not begin with, lest it be redirected for ever.
    loops: Option<LoopGuard>,
}

/// What the value of a parameter has to be.
#[derive(Clone, Debug)]
enum Wanted {
    This(String),
    Any,
}

#[derive(Clone, Debug)]
struct LoopGuard {
    prefix: String,
    /// Whether the prefix is compared without its scheme and host, where these are the request's.
    strips_origin: bool,
    /// The target, its placeholders for parameters of the query taken for text.
    target: Target,
}

impl Rule {
    pub(crate) fn new(redirect: Redirect) -> Self {
        let pattern = Pattern::new(&redirect.from);
        let (mut parameters, mut captured) = (Vec::new(), Vec::new());
        for (key, value) in &redirect.query {
            match value.strip_prefix(':') {
                Some(name) => {
                    captured.push(name);
                    parameters.push((key.clone(), Wanted::Any));
                }
                None => parameters.push((key.clone(), Wanted::This(value.clone()))),
            }
        }
        let target = Target::new(&redirect.to, &pattern, &captured);
        let loops = (redirect.status != 200 && pattern.has_splat()).then(|| LoopGuard::new(&redirect.to, &pattern));
        Self {
            pattern,
            status: redirect.status,
            force: redirect.force,
            headers: redirect.headers,
            origin: redirect.origin,
            parameters,
            conditions: redirect.conditions,
            target,
            loops: loops.filter(|guard| !guard.prefix.is_empty()),
        }
    }

    /// About how many bytes of a request it takes to look at.
    pub(crate) fn effort(&self, ask: &Ask<'_>) -> u64 {
        let query = self.parameters.len() * ask.query.map_or(0, str::len);
        let cookies = match self.conditions.cookies_looked_up() {
            0 => 0,
            some => some * (ask.header)("cookie").map_or(0, str::len),
        };
        (ask.path.len() + query + cookies) as u64 / 8 + 1
    }

    /// The same for any request for this path whose query and cookies are within [`PLAIN_BYTES_MAX`].
    pub(crate) fn effort_at_most(&self, path: &str) -> u64 {
        let read_through = self.parameters.len() + self.conditions.cookies_looked_up();
        (path.len() + read_through * PLAIN_BYTES_MAX) as u64 / 8 + 1
    }

    /// Whether it may keep somebody from a file that is there.
    pub(crate) fn overrules_files(&self) -> bool {
        self.force || self.conditions.role.is_some()
    }

    /// What it says to a request with this decoded path, which it has matched at `spans`.
    pub(crate) fn answer(&self, ask: &Ask<'_>, path: &str, spans: &Spans) -> Answer {
        if !self.origin.as_ref().is_none_or(|origin| origin.is_of(ask)) {
            return Answer::Pass;
        }
        if self.loops.as_ref().is_some_and(|guard| guard.stops(&self.pattern, ask, path, spans)) {
            return Answer::Loop;
        }
        let Some(parameters) = self.captured(ask.query.unwrap_or_default()) else { return Answer::Pass };
        let verdict = self.conditions.weigh(ask);
        if verdict == Verdict::Unmet {
            return Answer::Pass;
        }
        let values = Values { path, spans, parameters: &parameters };
        let Some(to) = self.target.fill(&values) else { return Answer::Pass };
        match verdict {
            Verdict::RoleMissing => Answer::RoleMissing,
            Verdict::Met | Verdict::Unmet => Answer::To(self.target.pass_query(to, ask.query)),
        }
    }

    /// The decoded values of the parameters it captures; `None` where the query is not what it asks for.
    fn captured<'q>(&self, query: &'q str) -> Option<Vec<std::borrow::Cow<'q, [u8]>>> {
        let mut captured = Vec::new();
        for (key, wanted) in &self.parameters {
            let value = query::decode(query::value(query, key)?);
            match wanted {
                Wanted::This(wanted) if *value == *wanted.as_bytes() => {}
                Wanted::This(_) => return None,
                Wanted::Any => captured.push(value),
            }
        }
        Some(captured)
    }
}

impl Origin {
    fn is_of(&self, ask: &Ask<'_>) -> bool {
        self.host.eq_ignore_ascii_case(ask.host)
            && self.scheme.as_ref().is_none_or(|scheme| scheme.eq_ignore_ascii_case(ask.scheme))
    }
}

impl LoopGuard {
    fn new(to: &str, pattern: &Pattern) -> Self {
        let cut = to.match_indices("/:splat").find(|(at, splat)| {
            let after = to.get(at + splat.len()..).unwrap_or_default();
            after.is_empty() || after.starts_with('/') && after.len() > 1
        });
        let prefix = cut.map_or(to, |(at, _)| to.get(..at).unwrap_or(to)).to_owned();
        Self { prefix, strips_origin: cut.is_some(), target: Target::new(to, pattern, &[]) }
    }

    /// Whether a redirect from `path` would lead to itself: the path lies below the target already, and the target is matched
    /// by the rule again.
    fn stops(&self, pattern: &Pattern, ask: &Ask<'_>, path: &str, spans: &Spans) -> bool {
        let own = |prefix: &'_ str| -> Option<usize> {
            let rest = prefix.strip_prefix(ask.scheme)?.strip_prefix("://")?.strip_prefix(ask.host)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len() - rest.len())
        };
        let skipped = if self.strips_origin { own(&self.prefix).unwrap_or(0) } else { 0 };
        let prefix = self.prefix.get(skipped..).unwrap_or_default();
        let target = || self.target.fill(&Values { path, spans, parameters: &[] });
        !prefix.is_empty()
            && path.starts_with(prefix)
            && target().is_some_and(|target| {
                let target = percent_encoding::percent_decode_str(&target).decode_utf8_lossy();
                pattern.matches(&target).is_some()
            })
    }
}
