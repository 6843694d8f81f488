//! `_redirects` as Cloudflare reads and applies it: `from to [status]`.

use std::collections::{HashMap, HashSet};

use super::Redirect;
use super::target::{add_query, on_this_site};
use crate::ask::Ask;
use crate::cloudflare::{LINE_BYTES_MAX, Template, address, fill, is_dynamic};
use crate::regex::Budget;
use crate::reject::Reason;
use crate::text::{lines, words};

/// The most rules for exactly one path, as long as none with a placeholder stands above.
const STATIC_MAX: usize = 2000;
/// The most others.
const DYNAMIC_MAX: usize = 100;

/// Reads a file. Rejected lines go to `reject` with their number.
pub(crate) fn parse(text: &str, mut reject: impl FnMut(usize, &str, Reason)) -> Vec<Redirect> {
    let mut redirects = Vec::new();
    let mut seen = HashSet::new();
    let (mut statics, mut dynamics) = (0, 0);
    for (number, line) in lines(text) {
        if line.encode_utf16().count() > LINE_BYTES_MAX {
            reject(number, line, Reason::LineTooLong(LINE_BYTES_MAX));
            continue;
        }
        let (from, rest) = match from(line) {
            Ok(parts) => parts,
            Err(reason) => {
                reject(number, line, reason);
                continue;
            }
        };
        if dynamics == 0 && !is_dynamic(&from) {
            statics += 1;
            if statics > STATIC_MAX {
                reject(number, line, Reason::TooManyRules(STATIC_MAX));
                continue;
            }
        } else {
            dynamics += 1;
            if dynamics > DYNAMIC_MAX {
                reject(number, line, Reason::TooManyPatterns(DYNAMIC_MAX));
                break;
            }
        }
        match rule(from, &rest, &mut seen) {
            Ok(redirect) => redirects.push(redirect),
            Err(reason) => reject(number, line, reason),
        }
    }
    redirects
}

/// The address that a line is for, and its other words.
fn from(line: &str) -> Result<(String, Vec<&str>), Reason> {
    let found: Vec<&str> = words(line).take_while(|word| !word.starts_with('#')).collect();
    match found.as_slice() {
        [from, rest @ ..] if matches!(rest.len(), 1 | 2) => Ok((address(from, true, true, false)?, rest.to_vec())),
        _ => Err(Reason::Words(found.len())),
    }
}

fn rule(from: String, rest: &[&str], seen: &mut HashSet<String>) -> Result<Redirect, Reason> {
    let to = address(rest.first().copied().unwrap_or_default(), false, false, true)?;
    let status = match rest.get(1).copied().unwrap_or("302") {
        status @ ("200" | "301" | "302" | "303" | "307" | "308") => status.parse().unwrap_or(302),
        _ => return Err(Reason::CloudflareStatus),
    };
    let leads_to_index = to.ends_with("/index") || to.ends_with("/index.html");
    let is_relative = !to.starts_with("https://");
    if is_relative && leads_to_index && (from.ends_with("/*") || from.ends_with('/')) {
        return Err(Reason::Loop);
    }
    if !seen.insert(from.clone()) {
        return Err(Reason::Duplicate);
    }
    if status == 200 && !is_relative {
        return Err(Reason::ProxyNotAllowed);
    }
    Template::new(&from)?;
    Ok(Redirect { from, to, status, force: true, ..Redirect::default() })
}

/// Compiled redirects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redirects {
    statics: HashMap<String, (u16, String)>,
    dynamics: Vec<(Template, u16, String)>,
}

impl Redirects {
    pub(crate) fn new(redirects: impl IntoIterator<Item = Redirect>) -> Self {
        let mut compiled = Self::default();
        for redirect in redirects {
            if compiled.dynamics.is_empty() && !is_dynamic(&redirect.from) {
                compiled.statics.insert(redirect.from, (redirect.status, redirect.to));
            } else if let Ok(template) = Template::new(&redirect.from) {
                compiled.dynamics.push((template, redirect.status, redirect.to));
            }
        }
        compiled
    }

    /// The rule that applies: one for exactly this path, else the first that matches.
    pub(crate) fn find(&self, ask: &Ask<'_>, budget: &mut Budget) -> Option<(u16, String)> {
        if let Some((status, to)) = self.statics.get(ask.path) {
            return Some((*status, with_query(to.clone(), ask)));
        }
        self.dynamics.iter().find_map(|(template, status, to)| {
            let values = template.values(ask, budget)?;
            let filled = fill(to, &values);
            // Slashes that a splat has brought are made one, so that no path becomes the name of a host.
            let filled = if to.contains("://") { filled } else { single_slashes(&filled) };
            Some((*status, with_query(filled, ask)))
        })
    }
}

impl Redirects {
    /// Whether a rule is for the path; on Cloudflare every rule overrules files.
    pub(crate) fn may_apply(&self, ask: &Ask<'_>, budget: &mut Budget) -> bool {
        self.statics.contains_key(ask.path)
            || self
                .dynamics
                .iter()
                .any(|(template, ..)| template.knows_hosts() || template.values(ask, budget).is_some())
    }
}

fn with_query(to: String, ask: &Ask<'_>) -> String {
    let mut to = if to.starts_with('/') { on_this_site(to) } else { to };
    let before_fragment = to.split('#').next().unwrap_or(&to);
    if before_fragment.split_once('?').is_none_or(|(_, query)| query.is_empty()) {
        add_query(&mut to, ask.query);
    }
    to
}

fn single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !single.ends_with('/') {
            single.push(c);
        }
    }
    single
}
