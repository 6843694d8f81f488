//! What to answer a request for a site with: a pure function of the site and the request.

use http::HeaderMap;

use super::find::Found;
use super::{Entry, Representation, ServedSite};
use crate::accept::is_navigation;
use crate::conditional::{self, Verdict};
use crate::encoding::{self, Choice};
use crate::path::RequestPath;
use crate::range::{self, Part, Range};

/// A GET or HEAD request, as far as files go.
#[derive(Debug)]
pub(crate) struct Ask<'r> {
    pub(crate) path: RequestPath<'r>,
    pub(crate) query: Option<&'r str>,
    pub(crate) headers: &'r HeaderMap,
    /// Whether a range may be sent; RFC 9110 defines them for GET alone.
    pub(crate) ranges: Ranges,
}

/// Whether a request may be answered with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// It is a GET.
    Allowed,
    /// It is a HEAD.
    Ignored,
}

/// A file and which of its forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen<'s> {
    pub(crate) entry: &'s Entry,
    pub(crate) form: &'s Representation,
}

/// An answer, without its bytes.
#[derive(Debug)]
pub(crate) enum Decision<'s> {
    /// 200 with all of a form.
    Whole(Chosen<'s>),
    /// 206 with a part of the identity form.
    Part(Chosen<'s>, Part),
    /// 206 with several parts of the identity form.
    Parts(Chosen<'s>, Vec<Part>),
    /// 304.
    NotModified(Chosen<'s>),
    /// 308 to a path, query included.
    Redirect(String),
    /// 404 with the site's own page.
    NotFoundPage(Chosen<'s>),
    /// 404 with ours.
    NotFound,
    /// 406: the client refuses every form.
    NotAcceptable,
    /// 412.
    PreconditionFailed,
    /// 416 for a file of this many bytes.
    RangeNotSatisfiable(u64),
}

impl ServedSite {
    /// What to answer.
    pub(crate) fn decide(&self, ask: &Ask<'_>) -> Decision<'_> {
        self.find(&ask.path, is_navigation(ask.headers)).decide(ask)
    }
}

impl<'s> Found<'s> {
    /// What to answer where this was found.
    pub(crate) fn decide(self, ask: &Ask<'_>) -> Decision<'s> {
        match self {
            Found::File(entry) | Found::Fallback(entry) => decide_file(entry, ask),
            Found::Redirect(path) => Decision::Redirect(with_query(path, ask.query)),
            Found::Nothing(Some(entry)) => match choose(entry, ask.headers) {
                Some(chosen) => Decision::NotFoundPage(chosen),
                None => Decision::NotFound,
            },
            Found::Nothing(None) => Decision::NotFound,
        }
    }
}

fn decide_file<'s>(entry: &'s Entry, ask: &Ask<'_>) -> Decision<'s> {
    let part = wanted_part(entry, ask);
    // A range is always one of the bytes as they were built: those of a variant would mean nothing to a client that
    // joins them with others.
    let chosen = match part {
        Range::Whole => choose(entry, ask.headers),
        Range::Part(_) | Range::Parts(_) | Range::Unsatisfiable => Some(Chosen { entry, form: entry.identity() }),
    };
    let Some(chosen) = chosen else { return Decision::NotAcceptable };
    match conditional::weigh(ask.headers, || chosen.form.etag()) {
        Verdict::NotModified => Decision::NotModified(chosen),
        Verdict::Failed => Decision::PreconditionFailed,
        Verdict::Proceed => match part {
            Range::Whole => Decision::Whole(chosen),
            Range::Part(part) => Decision::Part(chosen, part),
            Range::Parts(parts) => Decision::Parts(chosen, parts),
            Range::Unsatisfiable => Decision::RangeNotSatisfiable(chosen.form.size),
        },
    }
}

fn wanted_part(entry: &Entry, ask: &Ask<'_>) -> Range {
    let identity = entry.identity();
    let wanted = ask.ranges == Ranges::Allowed
        && conditional::range_is_wanted(ask.headers, || identity.etag())
        && encoding::takes_identity(ask.headers);
    if wanted { range::parse(ask.headers, identity.size) } else { Range::Whole }
}

fn choose<'s>(entry: &'s Entry, headers: &HeaderMap) -> Option<Chosen<'s>> {
    let form = match encoding::negotiate(headers, |encoding| entry.variant(encoding).is_some())? {
        Choice::Identity => entry.identity(),
        Choice::Variant(encoding) => entry.variant(encoding)?,
    };
    Some(Chosen { entry, form })
}

fn with_query(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use skylift_model::Digest;
    use skylift_model::site::{Asset, Encoding, Site, SiteSettings, Variant};

    fn site() -> ServedSite {
        let variant = |encoding, size| Variant { encoding, size, sha256: Digest::of(&[size as u8]) };
        let variants = vec![variant(Encoding::Br, 10), variant(Encoding::Gzip, 20)];
        let page = Asset { sha256: Digest::of(b"page"), size: 100, variants, immutable: None };
        let image = Asset { sha256: Digest::of(b"image"), size: 50, variants: Vec::new(), immutable: None };
        let files = [("index.html", page), ("a.png", image)];
        let files = files.into_iter().map(|(path, asset)| (path.parse().unwrap(), asset)).collect();
        let settings = SiteSettings { clean_urls: true, ..SiteSettings::default() };
        ServedSite::new(Site { files, settings, ..Site::default() })
    }

    fn describe(decision: &Decision<'_>) -> String {
        let form = |chosen: &Chosen<'_>| match chosen.form.size {
            10 => "br",
            20 => "gzip",
            _ => "identity",
        };
        match decision {
            Decision::Whole(chosen) => format!("200 {}", form(chosen)),
            Decision::Part(chosen, part) => format!("206 {} {}+{}", form(chosen), part.first, part.length),
            Decision::Parts(chosen, parts) => format!("206 {} {} parts", form(chosen), parts.len()),
            Decision::NotModified(chosen) => format!("304 {}", form(chosen)),
            Decision::Redirect(to) => format!("308 {to}"),
            Decision::RangeNotSatisfiable(size) => format!("416 */{size}"),
            other => format!("{other:?}"),
        }
    }

    fn check(ranges: Ranges, path: &str, headers: &[(&str, &str)]) -> String {
        let pairs = headers.iter().map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        let headers: HeaderMap = pairs.collect();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        describe(&site().decide(&Ask { path: RequestPath::parse(path).unwrap(), query, headers: &headers, ranges }))
    }

    fn tag(encoding: Option<Encoding>) -> String {
        let site = site();
        let entry = site.entries.get("index.html").unwrap();
        let form = encoding.map_or(entry.identity(), |encoding| entry.variant(encoding).unwrap());
        form.etag()
    }

    #[test]
    fn conditions_are_weighed_against_the_form_that_would_be_sent() {
        let (plain, br) = (tag(None), tag(Some(Encoding::Br)));
        assert!(br.ends_with("-br\"") && plain != br);
        let get = |headers: &[(&str, &str)]| check(Ranges::Allowed, "/", headers);
        assert_eq!(get(&[("if-none-match", &plain)]), "304 identity");
        assert_eq!(get(&[("if-none-match", &plain), ("accept-encoding", "br")]), "200 br");
        assert_eq!(get(&[("if-none-match", &br), ("accept-encoding", "br")]), "304 br");
        assert_eq!(get(&[("if-none-match", &br), ("accept-encoding", "gzip")]), "200 gzip");
        assert_eq!(get(&[("if-match", "\"other\"")]), "PreconditionFailed");
        assert_eq!(get(&[("accept-encoding", "identity;q=0, zstd")]), "NotAcceptable");
    }

    #[test]
    fn ranges_are_of_the_identity_form_and_of_this_version() {
        let plain = tag(None);
        let br = tag(Some(Encoding::Br));
        let get = |headers: &[(&str, &str)]| check(Ranges::Allowed, "/", headers);
        assert_eq!(get(&[("range", "bytes=0-4")]), "206 identity 0+5");
        assert_eq!(get(&[("range", "bytes=0-4"), ("accept-encoding", "br")]), "206 identity 0+5");
        assert_eq!(get(&[("range", "bytes=0-4"), ("if-range", &plain)]), "206 identity 0+5");
        assert_eq!(get(&[("range", "bytes=0-4"), ("if-range", &br), ("accept-encoding", "br")]), "200 br");
        assert_eq!(get(&[("range", "bytes=0-4"), ("if-range", "\"old\"")]), "200 identity");
        assert_eq!(get(&[("range", "bytes=0-4"), ("accept-encoding", "br, identity;q=0")]), "200 br");
        assert_eq!(get(&[("range", "bytes=100-")]), "416 */100");
        assert_eq!(get(&[("range", "bytes=0-1,3-4"), ("accept-encoding", "br")]), "206 identity 2 parts");
        assert_eq!(get(&[("range", "bytes=0-1,3-4"), ("if-range", "\"old\"")]), "200 identity");
        assert_eq!(get(&[("range", "bytes=100-"), ("if-none-match", &plain)]), "304 identity");
        assert_eq!(check(Ranges::Ignored, "/", &[("range", "bytes=0-4")]), "200 identity");
    }

    #[test]
    fn a_redirect_keeps_the_query() {
        assert_eq!(check(Ranges::Allowed, "/index.html?a=1&b=//x", &[]), "308 /?a=1&b=//x");
        assert_eq!(check(Ranges::Allowed, "/index.html", &[]), "308 /");
    }
}
