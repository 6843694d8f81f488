//! What an entry of `vercel.json` has to be, besides having the right fields.

use serde_json::{Map, Value as Json};

use super::destination::{self, Use};
use super::route::{Matcher, Room};
use super::source::is_expression;
use super::{Fields, Route, template};
use crate::headers::name;
use crate::limits::VERCEL_TEXT_BYTES_MAX;
use crate::reject::Reason;
use crate::text::has_control;

/// A field that has to be a text.
pub(crate) fn field_text(entry: &Map<String, Json>, key: &'static str) -> Result<String, Reason> {
    match entry.get(key) {
        Some(Json::String(text)) if has_control(text) => Err(Reason::Control),
        Some(Json::String(text)) if text.len() <= VERCEL_TEXT_BYTES_MAX => Ok(text.clone()),
        _ => Err(Reason::Field(key.to_owned(), "a text of 4096 bytes at most")),
    }
}

/// Whether an object has only these fields. One that is ignored could be what keeps an entry from applying to all.
pub(crate) fn only(entry: &Map<String, Json>, known: &[&str]) -> Result<(), Reason> {
    match entry.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Reason::Unsupported(crate::text::plain(key, 64))),
        None => Ok(()),
    }
}

pub(crate) fn redirect(route: Route, room: &mut Room) -> Result<Route, Reason> {
    if !(300..400).contains(&route.status) || route.status == 304 {
        return Err(Reason::StatusRange(i64::from(route.status)));
    }
    checked(route, Use::Redirect, room)
}

pub(crate) fn rewrite(route: Route, room: &mut Room) -> Result<Route, Reason> {
    if matches!(route.status, 204..=206 | 300..=399) || !(200..600).contains(&route.status) {
        return Err(Reason::StatusRange(i64::from(route.status)));
    }
    checked(route, Use::Rewrite, room)
}

fn checked(route: Route, use_: Use, room: &mut Room) -> Result<Route, Reason> {
    let (matcher, names) = source(&route.source, &route.has, &route.missing)?;
    let (used, unnamed) = destination::segments(&route.destination);
    let unknown = used.into_iter().find(|name| !names.all.iter().any(|(known, _)| known == name));
    if let Some(name) = unknown {
        return Err(Reason::UnknownSegment(name));
    }
    if unnamed && names.unnamed.is_none() {
        return Err(Reason::UnknownSegment(String::new()));
    }
    let destination = &route.destination;
    if destination.starts_with("//") || destination.starts_with("/\\") {
        return Err(Reason::ForeignTarget);
    }
    let is_address = destination.starts_with("http://") || destination.starts_with("https://");
    if !destination.starts_with('/') && !is_address {
        return Err(Reason::Target);
    }
    let conditions = route.has.iter().map(|has| has.names().len()).sum();
    destination::compile(destination, &names, conditions, use_)?;
    room.take(&matcher)?;
    Ok(route)
}

fn source(source: &str, has: &[super::Has], missing: &[super::Has]) -> Result<(Matcher, template::Names), Reason> {
    is_expression(source)?;
    Matcher::new(source, has, missing)
}

pub(crate) fn fields(mut fields: Fields, room: &mut Room) -> Result<Fields, Reason> {
    let (matcher, names) = source(&fields.source, &fields.has, &fields.missing)?;
    for (name, value) in &mut fields.set {
        (*name, *value) = name::admit(name, value)?;
        template::value(value, &names)?;
    }
    room.take(&matcher)?;
    Ok(fields)
}
