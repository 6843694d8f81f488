//! What Cloudflare's two files have in common: how addresses are written, matched and filled in.

use crate::ask::Ask;
use crate::regex::{Budget, Case, InvalidRegex, Regex, escape};
use crate::reject::Reason;

/// The longest line, in the units Cloudflare counts (UTF-16).
pub(crate) const LINE_BYTES_MAX: usize = 2000;

/// The address of a rule, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    regex: Regex,
    with_host: bool,
}

/// What placeholders stand for, in the order of the address.
pub(crate) type Values = Vec<(String, String)>;

impl Template {
    /// Reads an address. `*` is anything, `:name` a part of the path, or of the host up to a dot.
    pub(crate) fn new(address: &str) -> Result<Self, InvalidRegex> {
        let with_host = address.starts_with("https://");
        let mut expression = String::from("^");
        let mut rest = address;
        let mut in_host = with_host;
        if let (true, Some(after)) = (with_host, address.strip_prefix("https://")) {
            expression.push_str("https:\\/\\/");
            rest = after;
        }
        let mut seen: Vec<&str> = Vec::new();
        while let Some(c) = rest.chars().next() {
            in_host &= c != '/';
            let name = rest.strip_prefix(':').map(placeholder).unwrap_or_default();
            if !name.is_empty() && !seen.contains(&name) {
                seen.push(name);
                expression.push_str(&format!("(?<{name}>{})", if in_host { "[^/.]+" } else { "[^/]+" }));
                rest = rest.get(1 + name.len()..).unwrap_or_default();
                continue;
            }
            if !name.is_empty() {
                return Err(InvalidRegex::Reference);
            }
            if c == '*' {
                expression.push_str("(?<splat>.*)");
            } else {
                expression.push_str(&escape(c.encode_utf8(&mut [0; 4])));
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        expression.push('$');
        Ok(Self { regex: Regex::new(&expression, Case::Matters)?, with_host })
    }

    /// Whether it is for requests of certain hosts.
    pub(crate) fn knows_hosts(&self) -> bool {
        self.with_host
    }

    /// What its placeholders stand for in a request, or `None` where it is for another.
    pub(crate) fn values(&self, ask: &Ask<'_>, budget: &mut Budget) -> Option<Values> {
        let whole;
        let text = if self.with_host {
            whole = format!("https://{}{}", ask.host, ask.path);
            whole.as_str()
        } else {
            ask.path
        };
        let captures = self.regex.captures(text, budget)?;
        let named =
            self.regex.groups().iter().enumerate().filter_map(|(n, name)| {
                Some((name.clone()?, captures.get(text, n + 1).unwrap_or_default().to_owned()))
            });
        Some(named.collect())
    }
}

/// Whether an address has a placeholder or `*`.
pub(crate) fn is_dynamic(address: &str) -> bool {
    address.contains('*')
        || address.match_indices(':').any(|(at, _)| !placeholder(address.get(at + 1..).unwrap_or_default()).is_empty())
}

/// Whether an address asks for the splat more than once.
pub(crate) fn holds_splat_twice(address: &str) -> bool {
    let stars = address.matches('*').count();
    let named = address.match_indices(":splat").any(|(at, splat)| {
        let after = address.get(at + splat.len()..).and_then(|after| after.chars().next());
        !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    stars > 1 || stars == 1 && named
}

/// The name that a text begins with, after its colon.
fn placeholder(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "";
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// A text with its placeholders filled in, in one go: what a request brings is never read as a placeholder.
pub(crate) fn fill(text: &str, values: &Values) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix(':');
        let fits = values.iter().find(|(name, _)| named.is_some_and(|rest| rest.starts_with(name.as_str())));
        if let Some((name, value)) = fits {
            filled.push_str(value);
            rest = rest.get(1 + name.len()..).unwrap_or_default();
        } else {
            filled.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    filled
}

/// An address as Cloudflare normalises it.
pub(crate) fn address(token: &str, only_relative: bool, no_port: bool, keeps_query: bool) -> Result<String, Reason> {
    if let Some(rest) = token.strip_prefix("https://") {
        let rest = rest.trim_start_matches('/');
        let end = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        if !host.is_empty() {
            if only_relative {
                return Err(Reason::OnlyRelative);
            }
            let port = host.rsplit_once(':').map(|(_, port)| port);
            if no_port && port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())) {
                return Err(Reason::CloudflareAddress);
            }
            return Ok(format!("https://{host}{}", pathname(path, keeps_query)?));
        }
    }
    match token.starts_with('/') || only_relative {
        true => pathname(token, keeps_query),
        false => Err(Reason::CloudflareAddress),
    }
}

/// A path as the URL standard writes it.
fn pathname(path: &str, keeps_query: bool) -> Result<String, Reason> {
    let (path, fragment) = path.split_once('#').map_or((path, None), |(path, fragment)| (path, Some(fragment)));
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut parts: Vec<&str> = Vec::new();
    let slashed = path.replace('\\', "/");
    let ends_open = slashed.rsplit('/').next().is_some_and(|last| is_dot(last) || is_double_dot(last));
    for part in slashed.strip_prefix('/').unwrap_or(&slashed).split('/') {
        if is_double_dot(part) {
            parts.pop();
        } else if !is_dot(part) {
            parts.push(part);
        }
    }
    if ends_open {
        parts.push("");
    }
    let mut written = format!("/{}", encoded(&parts.join("/"), b"\"#<>?^`{}"));
    if keeps_query {
        for (sign, text) in [('?', query), ('#', fragment)] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                written.push(sign);
                written.push_str(&encoded(text, b"\"#<>"));
            }
        }
    }
    if crate::text::has_control(&written) { Err(Reason::Control) } else { Ok(written) }
}

fn is_dot(part: &str) -> bool {
    part == "." || part.eq_ignore_ascii_case("%2e")
}

fn is_double_dot(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    matches!(lower.as_str(), ".." | ".%2e" | "%2e." | "%2e%2e")
}

fn encoded(text: &str, special: &[u8]) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !special.contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
    written
}
