//! `has` and `missing`: what a request has to be, besides its path.

use serde::{Deserialize, Serialize};

use crate::ask::Ask;
use crate::regex::{Budget, Case, InvalidRegex, Regex};

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Has {
    /// Where to look.
    pub kind: Kind,
    /// The name of the field, cookie or parameter; nothing for the host.
    #[serde(default)]
    pub key: String,
    /// What to find there; anything where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// Where a condition looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The host.
    Host,
    /// A header field.
    Header,
    /// A cookie.
    Cookie,
    /// A parameter of the query.
    Query,
}

/// What a value has to be. Where several are given, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Value {
    /// What an expression matches from start to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub re: Option<String>,
    /// Exactly this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eq: Option<String>,
    /// Anything but this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neq: Option<String>,
    /// One of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inc: Option<Vec<String>>,
    /// None of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ninc: Option<Vec<String>>,
    /// What begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre: Option<String>,
    /// What ends with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suf: Option<String>,
}

impl Has {
    /// The names under which it captures something.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.value.is_none() && self.kind != Kind::Host {
            names.push(self.key.clone());
        }
        if let Some(expression) = self.value.as_ref().and_then(|value| value.re.as_ref()) {
            let regex = Regex::new(&whole(expression), Case::Matters);
            names.extend(regex.iter().flat_map(|regex| regex.groups().iter().flatten().cloned()));
            if self.kind == Kind::Host {
                names.push("host".to_owned());
            }
        }
        names
    }
}

/// A condition, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    has: Has,
    /// The name of the header field, in lower case.
    field: String,
    regex: Option<Regex>,
}

impl Condition {
    pub(crate) fn new(has: Has) -> Result<Self, InvalidRegex> {
        let expression = has.value.as_ref().and_then(|value| value.re.as_ref());
        let regex = expression.map(|expression| Regex::new(&whole(expression), Case::Matters)).transpose()?;
        Ok(Self { field: has.key.to_ascii_lowercase(), has, regex })
    }

    /// How much it takes to keep.
    pub(crate) fn weight(&self) -> usize {
        1 + self.regex.as_ref().map_or(0, Regex::weight)
    }

    /// Whether a request meets it; what it captures is added to `captured`.
    pub(crate) fn meets(&self, ask: &Ask<'_>, budget: &mut Budget, captured: &mut Vec<(String, String)>) -> bool {
        let read = match self.has.kind {
            Kind::Host | Kind::Header => 0,
            Kind::Cookie => (ask.header)("cookie").map_or(0, str::len),
            Kind::Query => ask.query.map_or(0, str::len),
        };
        if budget.take(1 + read as u64).is_none() {
            return false;
        }
        let found = match self.has.kind {
            Kind::Host => Some(std::borrow::Cow::Borrowed(ask.host)),
            Kind::Header => (ask.header)(&self.field).map(std::borrow::Cow::Borrowed),
            Kind::Cookie => ask.cookie(&self.has.key).map(std::borrow::Cow::Borrowed),
            Kind::Query => parameter(ask.query.unwrap_or_default(), &self.has.key),
        };
        let Some(found) = found else { return false };
        let Some(value) = &self.has.value else {
            captured.push((self.has.key.clone(), found.into_owned()));
            return true;
        };
        if !value.admits(&found) {
            return false;
        }
        if let Some(regex) = &self.regex {
            let Some(captures) = regex.captures(&found, budget) else { return false };
            for (at, name) in regex.groups().iter().enumerate() {
                if let (Some(name), Some(text)) = (name, captures.get(&found, at + 1)) {
                    captured.push((name.clone(), text.to_owned()));
                }
            }
            if self.has.kind == Kind::Host {
                captured.push(("host".to_owned(), found.into_owned()));
            }
        }
        true
    }
}

impl Value {
    fn admits(&self, found: &str) -> bool {
        self.eq.as_ref().is_none_or(|eq| found == eq)
            && self.neq.as_ref().is_none_or(|neq| found != neq)
            && self.inc.as_ref().is_none_or(|list| list.iter().any(|one| one == found))
            && self.ninc.as_ref().is_none_or(|list| !list.iter().any(|one| one == found))
            && self.pre.as_ref().is_none_or(|pre| found.starts_with(pre.as_str()))
            && self.suf.as_ref().is_none_or(|suf| found.ends_with(suf.as_str()))
    }
}

/// An expression that has to match from start to end.
fn whole(expression: &str) -> String {
    format!("^(?:{expression})$")
}

fn parameter<'q>(query: &'q str, key: &str) -> Option<std::borrow::Cow<'q, str>> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let decode = |text: &'q str| match text.contains(['+', '%']) {
        false => std::borrow::Cow::Borrowed(text),
        true => std::borrow::Cow::Owned(String::from_utf8_lossy(&crate::redirects::query::decode(text)).into_owned()),
    };
    pairs.map(|(name, value)| (decode(name), value)).find(|(name, _)| name == key).map(|(_, value)| decode(value))
}
