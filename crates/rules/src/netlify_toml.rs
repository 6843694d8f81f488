//! `[[redirects]]` and `[[headers]]` of `netlify.toml`. What else the file says has no effect, which is told.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use toml::{Spanned, Table, Value};

use crate::headers::lines::{join, spaced};
use crate::headers::{HeaderBlock, name};
use crate::limits::{HEADER_BLOCKS_MAX, RULES_MAX};
use crate::redirects::lines::lists;
use crate::redirects::parse::{Raw, Taken, take};
use crate::reject::Reason;
use crate::text::{leading_integer, trim};
use crate::unheeded;

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct NetlifyToml {
    /// With the lines they begin in.
    pub(crate) redirects: Vec<(usize, Taken)>,
    pub(crate) headers: Vec<HeaderBlock>,
}

#[derive(serde::Deserialize)]
struct Document {
    redirects: Option<Spanned<Value>>,
    headers: Option<Spanned<Value>>,
}

#[derive(serde::Deserialize)]
struct Lists {
    #[serde(default)]
    redirects: Vec<Spanned<Value>>,
    #[serde(default)]
    headers: Vec<Spanned<Value>>,
}

/// The keys of a table with their places.
type Keys = BTreeMap<Spanned<String>, IgnoredAny>;

#[derive(serde::Deserialize)]
struct Build {
    build: Keys,
}

/// Reads a file. What is rejected goes to `reject` with the line it begins in.
pub(crate) fn parse(text: &str, mut reject: impl FnMut(Option<usize>, &str, Reason)) -> NetlifyToml {
    let ends: Vec<usize> = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
    let line_at = |offset: usize| 1 + ends.partition_point(|end| *end < offset);
    let mut found = NetlifyToml::default();
    let document: Document = match toml::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            let line = error.span().map(|span| line_at(span.start));
            reject(line, "", Reason::Syntax(error.message().to_owned()));
            return found;
        }
    };
    let not_list = |value: &Option<Spanned<Value>>| value.as_ref().is_some_and(|value| !value.get_ref().is_array());
    for (name, value) in [("redirects", &document.redirects), ("headers", &document.headers)] {
        if not_list(value) {
            let line = value.as_ref().map(|value| line_at(value.span().start));
            reject(line, "", Reason::Field(name.to_owned(), "a list of tables"));
            return found;
        }
    }
    for (key, reason) in without_effect(text) {
        reject(Some(line_at(key)), "", reason);
    }
    let Ok(lists) = toml::from_str::<Lists>(text) else { return found };
    for (number, entry) in lists.redirects.into_iter().enumerate() {
        let line = line_at(entry.span().start);
        if number >= RULES_MAX {
            reject(Some(line), "", Reason::TooManyRules(RULES_MAX));
            break;
        }
        match redirect(entry.get_ref()).and_then(take) {
            Ok(taken) => found.redirects.push((line, taken)),
            Err(reason) => reject(Some(line), &shown(entry.get_ref(), "from"), reason),
        }
    }
    for entry in lists.headers {
        let line = line_at(entry.span().start);
        if found.headers.len() >= HEADER_BLOCKS_MAX {
            reject(Some(line), "", Reason::TooManyRules(HEADER_BLOCKS_MAX));
            break;
        }
        match block(entry.get_ref(), |text, reason| reject(Some(line), text, reason)) {
            Ok(Some(block)) => found.headers.push(block),
            Ok(None) => {}
            Err(reason) => reject(Some(line), &shown(entry.get_ref(), "for"), reason),
        }
    }
    found
}

/// Where settings stand that have no effect, and why.
fn without_effect(text: &str) -> Vec<(usize, Reason)> {
    let found = |keys: Keys, why: fn(&str) -> Option<Reason>| {
        keys.into_keys().filter_map(move |key| Some((key.span().start, why(key.get_ref())?))).collect::<Vec<_>>()
    };
    let mut all = found(toml::from_str(text).unwrap_or_default(), unheeded::netlify);
    // Where `build` is no table, it says nothing.
    if let Ok(Build { build }) = toml::from_str(text) {
        all.extend(found(build, unheeded::netlify_build));
    }
    all
}

fn shown(entry: &Value, key: &str) -> String {
    entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn redirect(entry: &Value) -> Result<Raw, Reason> {
    let Value::Table(entry) = entry else { return Err(Reason::Field("redirects".to_owned(), "a list of tables")) };
    let either = |names: &[&str]| names.iter().find_map(|name| entry.get(*name));
    let from = either(&["from", "origin"]).ok_or_else(|| Reason::Field("from".to_owned(), "there"))?;
    let to = either(&["to", "destination"]).map(|to| text(to, "to")).transpose()?;
    let status = match entry.get("status") {
        None => None,
        Some(Value::Integer(status)) => Some(*status),
        Some(Value::String(status)) => Some(leading_integer(status).ok_or_else(|| Reason::Status(status.clone()))?),
        Some(Value::Float(status)) => Some(*status as i64),
        Some(other) => return Err(Reason::Status(other.to_string())),
    };
    let force = match entry.get("force") {
        None => false,
        Some(Value::Boolean(force)) => *force,
        Some(_) => return Err(Reason::Field("force".to_owned(), "true or false")),
    };
    if entry.contains_key("rate_limit") || entry.contains_key("edge_handlers") {
        return Err(Reason::Unsupported("rate_limit".to_owned()));
    }
    Ok(Raw {
        from: text(from, "from")?,
        query: texts(either(&["query", "params", "parameters"]), "query")?,
        to,
        status,
        force,
        conditions: conditions(entry.get("conditions"))?,
        signed: either(&["signed", "signing", "sign"]).is_some(),
        headers: request_headers(entry.get("headers"))?,
    })
}

fn text(value: &Value, name: &str) -> Result<String, Reason> {
    value.as_str().map(str::to_owned).ok_or_else(|| Reason::Field(name.to_owned(), "a text"))
}

fn table<'v>(value: Option<&'v Value>, name: &str) -> Result<Option<&'v Table>, Reason> {
    match value {
        None => Ok(None),
        Some(Value::Table(table)) => Ok(Some(table)),
        Some(_) => Err(Reason::Field(name.to_owned(), "a table")),
    }
}

/// A table of texts. Numbers and booleans are taken for how they are written.
fn texts(value: Option<&Value>, name: &str) -> Result<BTreeMap<String, String>, Reason> {
    let Some(table) = table(value, name)? else { return Ok(BTreeMap::new()) };
    let pair = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Ok((key.clone(), text.clone())),
        Value::Integer(_) | Value::Boolean(_) => Ok((key.clone(), value.to_string())),
        _ => Err(Reason::Field(format!("{name}.{key}"), "a text")),
    };
    table.iter().map(pair).collect()
}

fn conditions(value: Option<&Value>) -> Result<BTreeMap<String, Vec<String>>, Reason> {
    let Some(table) = table(value, "conditions")? else { return Ok(BTreeMap::new()) };
    let members = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Ok((key.clone(), lists(text.clone()))),
        Value::Array(list) => {
            let members: Result<Vec<String>, Reason> = list.iter().map(|member| text(member, key)).collect();
            Ok((key.clone(), members?))
        }
        _ => Err(Reason::Field(format!("conditions.{key}"), "a list of texts")),
    };
    table.iter().map(members).collect()
}

fn request_headers(value: Option<&Value>) -> Result<Vec<(String, String)>, Reason> {
    texts(value, "headers")?.iter().map(|(key, value)| name::admit(key, value)).collect()
}

/// A block of headers; `None` for one without any. A field that may not be set costs only itself.
fn block(entry: &Value, mut reject: impl FnMut(&str, Reason)) -> Result<Option<HeaderBlock>, Reason> {
    let path = entry.get("for").ok_or_else(|| Reason::Field("for".to_owned(), "there"))?;
    let path = trim(&text(path, "for")?).to_owned();
    if path.len() > crate::limits::RULE_BYTES_MAX {
        return Err(Reason::LineTooLong(crate::limits::RULE_BYTES_MAX));
    }
    let Some(values) = table(entry.get("values"), "values")? else { return Ok(None) };
    let mut fields = Vec::new();
    for (key, value) in values {
        let key = trim(key);
        if key.is_empty() {
            return Err(Reason::NoHeaderName);
        }
        let value = match value {
            Value::String(text) => spaced(trim(text)),
            Value::Array(list) => {
                let members: Result<Vec<String>, Reason> =
                    list.iter().map(|member| text(member, key).map(|text| trim(&text).to_owned())).collect();
                members?.join(", ")
            }
            _ => return Err(Reason::Field(key.to_owned(), "a text or a list of texts")),
        };
        fields.push((key.to_owned(), value));
    }
    let mut block = HeaderBlock { path, ..HeaderBlock::default() };
    for (key, value) in fields {
        if let Err(reason) = name::admit(&key, &value).and_then(|(name, value)| join(&mut block, name, value)) {
            reject(&key, reason);
        }
    }
    Ok(Some(block).filter(|block| !block.set.is_empty()))
}
