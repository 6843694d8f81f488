//! Where a redirect leads: a text with placeholders, read once, filled in for each request.
//!
//! What a request brings never becomes more than the piece of a path, a query or a host it stands for: it is encoded for its
//! place, is never read as a placeholder itself, and cannot turn a path of the site into the address of another host.

use super::pattern::{Pattern, Spans};
use super::query;

/// A compiled target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pieces: Vec<Piece>,
    /// Whether it names another host.
    absolute: bool,
    /// Whether it has a query of its own.
    has_query: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The nth placeholder of the path.
    Span(usize, Place),
    /// The parameter of the query that the rule has captured at this place.
    Parameter(usize, Place),
}

/// Where a value lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Host,
    Path,
    Query,
    Fragment,
}

/// What a request brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'v> {
    pub(crate) path: &'v str,
    pub(crate) spans: &'v Spans,
    /// The decoded values of the captured parameters.
    pub(crate) parameters: &'v [std::borrow::Cow<'v, [u8]>],
}

impl Target {
    /// Reads a target. `captured` are the names that the rule gives to parameters of the query, in order.
    pub(crate) fn new(to: &str, pattern: &Pattern, captured: &[&str]) -> Self {
        let spans: Vec<&str> = pattern.names().collect();
        let absolute = !to.starts_with('/');
        let mut place = if absolute { Place::Host } else { Place::Path };
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = match to.split_once("://").filter(|_| absolute) {
            Some((scheme, rest)) => {
                text.push_str(scheme);
                text.push_str("://");
                rest
            }
            None => to,
        };
        while let Some(c) = rest.chars().next() {
            let named =
                |name: &&str| !name.is_empty() && rest.strip_prefix(':').is_some_and(|rest| rest.starts_with(*name));
            // The first name that fits is taken, though a longer one may fit too: so does Netlify.
            let piece = match spans.iter().position(named) {
                Some(n) => Some((Piece::Span(n, place), spans.get(n))),
                None => captured.iter().position(named).map(|n| (Piece::Parameter(n, place), captured.get(n))),
            };
            if let Some((piece, name)) = piece {
                pieces.extend([Piece::Text(std::mem::take(&mut text)), piece]);
                rest = rest.get(1 + name.map_or(0, |name| name.len())..).unwrap_or_default();
                continue;
            }
            place = match (place, c) {
                (Place::Host, '/') => Place::Path,
                (Place::Host | Place::Path, '?') => Place::Query,
                (Place::Host | Place::Path | Place::Query, '#') => Place::Fragment,
                (place, _) => place,
            };
            push_text(c, &mut text);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        pieces.push(Piece::Text(text));
        let before_fragment = to.split('#').next().unwrap_or(to);
        let has_query = before_fragment.split_once('?').is_some_and(|(_, query)| !query.is_empty());
        Self { pieces, absolute, has_query }
    }

    /// The target for a request; `None` where a value does not belong into the name of a host.
    pub(crate) fn fill(&self, values: &Values<'_>) -> Option<String> {
        let filled = self.joined(values)?;
        Some(if self.absolute { filled } else { on_this_site(filled) })
    }

    fn joined(&self, values: &Values<'_>) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Span(n, place) => {
                    let (first, end) = values.spans.get(*n)?;
                    push_value(values.path.get(*first..*end)?, *place, &mut filled)?;
                }
                Piece::Parameter(n, place) => {
                    let value = values.parameters.get(*n)?;
                    match place {
                        Place::Host => push_value(std::str::from_utf8(value).ok()?, *place, &mut filled)?,
                        Place::Path | Place::Query | Place::Fragment => query::encode(value, &mut filled),
                    }
                }
            }
        }
        Some(filled)
    }

    /// A filled target with the request's query, where it has none of its own.
    pub(crate) fn pass_query(&self, mut filled: String, query: Option<&str>) -> String {
        if !self.has_query {
            add_query(&mut filled, query);
        }
        filled
    }
}

/// The owner's own text: kept, but for what may not stand in a header or what browsers take for a slash.
fn push_text(c: char, text: &mut String) {
    if c.is_ascii_graphic() && c != '\\' {
        text.push(c);
        return;
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        text.push_str(percent_encoding::percent_encode_byte(byte));
    }
}

fn push_value(value: &str, place: Place, filled: &mut String) -> Option<()> {
    if place == Place::Host {
        let fits = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        return fits.then(|| filled.push_str(value));
    }
    for byte in value.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$'()*,;:@/".contains(&byte);
        let plain_in_path = place == Place::Path && matches!(byte, b'&' | b'=' | b'+');
        if plain || plain_in_path {
            filled.push(char::from(byte));
        } else {
            filled.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
    Some(())
}

/// A path with a single slash at its start: with two, browsers would take what follows for a host.
pub(crate) fn on_this_site(path: String) -> String {
    if !path.starts_with("//") && !path.starts_with("/\\") {
        return path;
    }
    format!("/{}", path.trim_start_matches(['/', '\\']))
}

/// Adds a query before the fragment.
pub(crate) fn add_query(target: &mut String, query: Option<&str>) {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return };
    let at = target.find('#').unwrap_or(target.len());
    let separator = if target.get(..at).is_some_and(|before| before.ends_with('?')) { "" } else { "?" };
    target.insert_str(at, &format!("{separator}{query}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, path: &str, query: Option<&str>) -> String {
        let pattern = Pattern::new(from);
        let spans = pattern.matches(path).unwrap();
        let values = Values { path, spans: &spans, parameters: &[] };
        let target = Target::new(to, &pattern, &[]);
        target.fill(&values).map_or("refused".into(), |filled| target.pass_query(filled, query))
    }

    #[test]
    fn placeholders_are_filled_in() {
        assert_eq!(check("/a/:b", "/x/:bb/:b", "/a/1", None), "/x/1b/1");
        assert_eq!(check("/n/*", "/b/:splat?q=:splat#:splat", "/n/é c", None), "/b/%C3%A9%20c?q=%C3%A9%20c#%C3%A9%20c");
        assert_eq!(check("/a/:b", "/x/:c", "/a/1", None), "/x/:c");
        assert_eq!(check("/a/:b", "https://:b.example/", "/a/de", None), "https://de.example/");
    }

    #[test]
    fn the_query_is_passed_on_only_where_the_target_has_none() {
        assert_eq!(check("/a", "/b", "/a", Some("x=1")), "/b?x=1");
        assert_eq!(check("/a", "/b#f", "/a", Some("x=1")), "/b?x=1#f");
        assert_eq!(check("/a", "/b?y=2", "/a", Some("x=1")), "/b?y=2");
        assert_eq!(check("/a", "/b?", "/a", Some("x=1")), "/b?x=1");
    }

    #[test]
    fn what_a_request_brings_stays_in_its_place() {
        assert_eq!(check("/old/*", "/:splat", "/old//evil.example", None), "/evil.example");
        assert_eq!(check("/old/*", "/:splat", "/old/\\evil.example", None), "/%5Cevil.example");
        assert_eq!(check("/old/*", "/:splat", "/old/a?b#c\r\n", None), "/a%3Fb%23c%0D%0A");
        assert_eq!(check("/a/:x/:y", "/z/:x", "/a/:y/1", None), "/z/:y");
        assert_eq!(check("/a/:b", "https://:b.example/", "/a/evil.com#", None), "refused");
        assert_eq!(check("/s/*", "/x?a=:splat", "/s/1&b=2", None), "/x?a=1%26b%3D2");
    }

    #[test]
    fn without_the_defence_a_splat_would_name_a_host() {
        let pattern = Pattern::new("/old/*");
        let path = "/old//evil.example";
        let spans = pattern.matches(path).unwrap();
        let values = Values { path, spans: &spans, parameters: &[] };
        let target = Target::new("/:splat", &pattern, &[]);
        assert_eq!(target.joined(&values).unwrap(), "//evil.example", "the attack is none");
        assert_eq!(target.fill(&values).unwrap(), "/evil.example");
    }
}
