//! What `vercel.json` says to a request.

use std::borrow::Cow;

use super::Vercel;
use super::destination::{Use, compile};
use super::route::{Matcher, Room};
use super::template::{self, Piece};
use crate::ask::Ask;
use crate::headers::HeaderChange;
use crate::redirects::target::{add_query, on_this_site};
use crate::regex::Budget;

/// `vercel.json`, compiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    clean_urls: bool,
    trailing_slash: Option<bool>,
    redirects: Vec<Entry>,
    rewrites: Vec<Entry>,
    headers: Vec<(Matcher, Vec<Field>)>,
}

/// A name and what its value is made of.
type Field = (String, Vec<Piece>);

#[derive(Clone, Debug)]
struct Entry {
    matcher: Matcher,
    destination: Vec<Piece>,
    status: u16,
}

impl Compiled {
    /// Entries that cannot be compiled are left out; the parser has said so.
    pub(crate) fn new(vercel: Vercel) -> Self {
        let mut room = Room::default();
        let entries = |routes: Vec<super::Route>, use_, room: &mut Room| {
            let entry = |route: super::Route| {
                let (matcher, names) = Matcher::new(&route.source, &route.has, &route.missing).ok()?;
                room.take(&matcher).ok()?;
                let conditions = route.has.iter().map(|has| has.names().len()).sum();
                let destination = compile(&route.destination, &names, conditions, use_).ok()?;
                Some(Entry { matcher, destination, status: route.status })
            };
            routes.into_iter().filter_map(entry).collect()
        };
        let redirects = entries(vercel.redirects, Use::Redirect, &mut room);
        let rewrites = entries(vercel.rewrites, Use::Rewrite, &mut room);
        let headers = vercel.headers.into_iter().filter_map(|fields| {
            let (matcher, names) = Matcher::new(&fields.source, &fields.has, &fields.missing).ok()?;
            room.take(&matcher).ok()?;
            let set =
                fields.set.into_iter().filter_map(|(name, value)| Some((name, template::value(&value, &names).ok()?)));
            Some((matcher, set.collect()))
        });
        Self {
            clean_urls: vercel.clean_urls,
            trailing_slash: vercel.trailing_slash,
            headers: headers.collect(),
            redirects,
            rewrites,
        }
    }

    /// Before files are looked at: a status and where to go.
    pub(crate) fn redirect(&self, ask: &Ask<'_>, budget: &mut Budget) -> Option<(u16, String)> {
        let spelling = self.clean_spelling(ask.path).or_else(|| self.slash_spelling(ask.path));
        let found = match spelling {
            Some(path) => Some((308, on_this_site(path))),
            None => first(&self.redirects, ask, budget),
        };
        let (status, mut to) = found?;
        pass_query(&mut to, ask.query);
        let same = to.split_once('?').unwrap_or((&to, "")) == (ask.path, ask.query.unwrap_or_default());
        (!same).then_some((status, to))
    }

    /// For what is no file: a status and where to look.
    pub(crate) fn rewrite(&self, ask: &Ask<'_>, budget: &mut Budget) -> Option<(u16, String)> {
        let (status, mut to) = first(&self.rewrites, ask, budget)?;
        pass_query(&mut to, ask.query);
        Some((status, to))
    }

    /// The fields of every entry that matches, in order.
    pub(crate) fn headers<'s>(&'s self, ask: &Ask<'_>, budget: &mut Budget, changes: &mut Vec<HeaderChange<'s>>) {
        for (matcher, set) in &self.headers {
            let Some(found) = matcher.matches(ask, budget) else { continue };
            changes.extend(set.iter().map(|(name, value)| match value.as_slice() {
                [Piece::Text(text)] => HeaderChange::Set(name, Cow::Borrowed(text)),
                pieces => HeaderChange::Set(name, Cow::Owned(found.fill(pieces))),
            }));
        }
    }

    /// Whether a request for this path may be redirected, whatever else it says.
    pub(crate) fn may_redirect(&self, path: &str, budget: &mut Budget) -> bool {
        self.clean_spelling(path).is_some()
            || self.slash_spelling(path).is_some()
            || self.redirects.iter().any(|entry| entry.matcher.is_for(path, budget))
    }

    /// The same fields as [`Self::headers`], where nothing but the path decides which they are.
    pub(crate) fn plain_headers<'s>(
        &'s self,
        ask: &Ask<'_>,
        budget: &mut Budget,
        changes: &mut Vec<HeaderChange<'s>>,
    ) -> Option<()> {
        let of_more = |(matcher, _): &(Matcher, _)| matcher.has_conditions() && matcher.is_for(ask.path, budget);
        if self.headers.iter().any(of_more) {
            return None;
        }
        self.headers(ask, budget, changes);
        Some(())
    }

    /// The path without `.html` and `index`, where they are not wanted.
    fn clean_spelling(&self, path: &str) -> Option<String> {
        if !self.clean_urls {
            return None;
        }
        let rest = path.strip_prefix('/')?;
        let open = rest.strip_suffix('/').unwrap_or(rest);
        let short = open.strip_suffix(".html");
        let page = short.unwrap_or(open);
        let clean = match page.strip_suffix("index") {
            Some("") => "",
            Some(folder) if folder.len() > 1 && folder.ends_with('/') => folder.get(..folder.len() - 1)?,
            _ => short?,
        };
        let slash = if self.trailing_slash == Some(true) && !clean.is_empty() { "/" } else { "" };
        Some(format!("/{clean}{slash}"))
    }

    /// The path with a slash at its end, or without it, as is wanted.
    fn slash_spelling(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix('/').filter(|rest| !rest.is_empty())?;
        if !self.trailing_slash? {
            return rest.strip_suffix('/').map(|rest| format!("/{rest}"));
        }
        if rest == ".well-known" || rest.starts_with(".well-known/") {
            return None;
        }
        let (open, closed) = (rest.strip_suffix('/').unwrap_or(rest), rest.ends_with('/'));
        if open.split('/').any(str::is_empty) {
            return None;
        }
        let last = open.rsplit('/').next().unwrap_or(open);
        let is_file = last.rsplit_once('.').is_some_and(|(stem, ending)| {
            !stem.is_empty() && !ending.is_empty() && ending.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        match closed {
            true if is_file => Some(format!("/{open}")),
            false if !last.contains('.') => Some(format!("/{open}/")),
            _ => None,
        }
    }
}

fn first(entries: &[Entry], ask: &Ask<'_>, budget: &mut Budget) -> Option<(u16, String)> {
    entries.iter().find_map(|entry| {
        let to = entry.matcher.matches(ask, budget)?.fill(&entry.destination);
        let to = to.replace('\\', "%5C");
        Some((entry.status, if to.starts_with('/') { on_this_site(to) } else { to }))
    })
}

/// Adds a request's query to that of the target.
fn pass_query(to: &mut String, query: Option<&str>) {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return };
    let before = to.split('#').next().unwrap_or_default();
    match before.split_once('?') {
        Some((_, own)) if !own.is_empty() => to.insert_str(before.len(), &format!("&{query}")),
        _ => add_query(to, Some(query)),
    }
}
