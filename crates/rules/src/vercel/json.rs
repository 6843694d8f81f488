//! Reading `vercel.json`, entry by entry, so that one bad entry costs only itself.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::check::{self, field_text};
use super::conditions::{Has, Kind, Value};
use super::route::Room;
use super::{Fields, Route, Vercel};
use crate::limits::VERCEL_ENTRIES_MAX;
use crate::reject::Reason;

/// Reads a file. Rejected entries go to `reject` with the line they begin in.
pub(crate) fn parse(text: &str, mut reject: impl FnMut(Option<usize>, &str, Reason)) -> Vercel {
    let (mut vercel, mut room) = (Vercel::default(), Room::default());
    let top: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
        Ok(top) => top,
        Err(error) => {
            let line = Some(error.line()).filter(|line| *line > 0);
            reject(line, "", Reason::Syntax(error.to_string()));
            return vercel;
        }
    };
    for (key, raw) in &top {
        let line = Some(line_of(text, raw.get()));
        match key.as_str() {
            "cleanUrls" | "trailingSlash" => match (raw.get(), key.as_str()) {
                (set @ ("true" | "false"), "cleanUrls") => vercel.clean_urls = set == "true",
                (set @ ("true" | "false"), _) => vercel.trailing_slash = Some(set == "true"),
                _ => reject(line, raw.get(), Reason::Field(key.clone(), "true or false")),
            },
            "redirects" | "rewrites" | "headers" => {
                for (line, entry) in entries(text, key, raw, &mut reject) {
                    if let Err(reason) = add(&mut vercel, key, entry, &mut room) {
                        reject(Some(line), entry.get(), reason);
                    }
                }
            }
            "routes" => reject(line, "", Reason::Unsupported("routes".to_owned())),
            _ if raw.get() == "null" => {}
            other => {
                if let Some(reason) = crate::unheeded::vercel(other) {
                    reject(line, "", reason);
                }
            }
        }
    }
    vercel
}

/// The entries of a list with the lines they begin in.
fn entries<'a>(
    text: &str,
    key: &str,
    raw: &'a RawValue,
    reject: &mut impl FnMut(Option<usize>, &str, Reason),
) -> Vec<(usize, &'a RawValue)> {
    let line = line_of(text, raw.get());
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        reject(Some(line), "", Reason::Field(key.to_owned(), "a list"));
        return Vec::new();
    };
    let (mut at, mut seen, mut entries) = (line, raw.get(), Vec::new());
    for entry in list.iter().take(VERCEL_ENTRIES_MAX) {
        // Lines are counted from the entry before, so that a long list is read once.
        let start = offset(seen, entry.get());
        at += newlines(seen.get(..start).unwrap_or_default());
        seen = seen.get(start..).unwrap_or_default();
        entries.push((at, *entry));
    }
    if let Some(entry) = list.get(VERCEL_ENTRIES_MAX) {
        let line = line_of(text, entry.get());
        reject(Some(line), entry.get(), Reason::TooManyRules(VERCEL_ENTRIES_MAX));
    }
    entries
}

fn add(vercel: &mut Vercel, list: &str, entry: &RawValue, room: &mut Room) -> Result<(), Reason> {
    let Ok(Json::Object(entry)) = serde_json::from_str(entry.get()) else {
        return Err(Reason::Field(list.to_owned(), "a list of objects"));
    };
    let source = field_text(&entry, "source")?;
    let (has, missing) = (conditions(&entry, "has")?, conditions(&entry, "missing")?);
    if list == "headers" {
        check::only(&entry, &["source", "headers", "has", "missing"])?;
        let set = fields(&entry)?;
        vercel.headers.push(check::fields(Fields { source, set, has, missing }, room)?);
        return Ok(());
    }
    let destination = field_text(&entry, "destination")?;
    let route = |status| Route { source, destination, status, has, missing };
    if list == "redirects" {
        check::only(&entry, &["source", "destination", "permanent", "statusCode", "has", "missing"])?;
        vercel.redirects.push(check::redirect(route(redirect_status(&entry)?), room)?);
    } else {
        check::only(&entry, &["source", "destination", "statusCode", "has", "missing"])?;
        let status = status_code(&entry)?.unwrap_or(200);
        vercel.rewrites.push(check::rewrite(route(status), room)?);
    }
    Ok(())
}

fn redirect_status(entry: &Map<String, Json>) -> Result<u16, Reason> {
    match (entry.get("permanent"), status_code(entry)?) {
        (None, status) => Ok(status.unwrap_or(308)),
        (Some(Json::Bool(_)), Some(_)) => Err(Reason::Both("permanent", "statusCode")),
        (Some(Json::Bool(true)), None) => Ok(308),
        (Some(Json::Bool(false)), None) => Ok(307),
        (Some(_), _) => Err(Reason::Field("permanent".to_owned(), "true or false")),
    }
}

fn status_code(entry: &Map<String, Json>) -> Result<Option<u16>, Reason> {
    let Some(status) = entry.get("statusCode") else { return Ok(None) };
    let code = status.as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| (100..=999).contains(code));
    code.map(Some).ok_or_else(|| Reason::Field("statusCode".to_owned(), "a number from 100 to 999"))
}

fn fields(entry: &Map<String, Json>) -> Result<Vec<(String, String)>, Reason> {
    let Some(Json::Array(list)) = entry.get("headers") else {
        return Err(Reason::Field("headers".to_owned(), "a list"));
    };
    list.iter()
        .map(|field| match field {
            Json::Object(field) => {
                check::only(field, &["key", "value"])?;
                Ok((field_text(field, "key")?, field_text(field, "value")?))
            }
            _ => Err(Reason::Field("headers".to_owned(), "a list of objects")),
        })
        .collect()
}

fn conditions(entry: &Map<String, Json>, key: &str) -> Result<Vec<Has>, Reason> {
    let list = match entry.get(key) {
        None => return Ok(Vec::new()),
        Some(Json::Array(list)) if list.len() <= 16 => list,
        Some(_) => return Err(Reason::Field(key.to_owned(), "a list of 16 conditions at most")),
    };
    list.iter().map(|condition| condition.as_object().map_or_else(|| Err(bad_condition()), one_condition)).collect()
}

fn one_condition(condition: &Map<String, Json>) -> Result<Has, Reason> {
    check::only(condition, &["type", "key", "value"])?;
    let kind = match condition.get("type").and_then(Json::as_str) {
        Some("host") => Kind::Host,
        Some("header") => Kind::Header,
        Some("cookie") => Kind::Cookie,
        Some("query") => Kind::Query,
        _ => return Err(bad_condition()),
    };
    let key = match kind {
        Kind::Host => String::new(),
        Kind::Header | Kind::Cookie | Kind::Query => field_text(condition, "key")?,
    };
    let value = match condition.get("value") {
        None if kind == Kind::Host => return Err(bad_condition()),
        // Vercel takes an empty value for none.
        None => None,
        Some(Json::String(text)) if text.is_empty() => None,
        Some(Json::String(text)) => Some(Value { re: Some(text.clone()), ..Value::default() }),
        Some(value @ Json::Object(_)) => {
            let value = serde_json::from_value(value.clone());
            Some(value.map_err(|_| Reason::Unsupported("this kind of condition".to_owned()))?)
        }
        Some(_) => return Err(bad_condition()),
    };
    Ok(Has { kind, key, value })
}

fn bad_condition() -> Reason {
    Reason::Field(
        "has".to_owned(),
        "a list of conditions with a `type` (host, header, cookie, query), `key` and `value`",
    )
}

/// Where `part`, which is a piece of `whole`, begins in it.
fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

fn line_of(whole: &str, part: &str) -> usize {
    1 + newlines(whole.get(..offset(whole, part)).unwrap_or_default())
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}
