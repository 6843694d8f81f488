//! The path that a redirect is for, and whether a request's path is one of them.
//!
//! ```text
//! /home          /home and /home/                      /a/*      /a, /a/ and all below; the rest is the splat
//! /x/:id/y       one part for :id                      /a/*/c    the splat is what lies between
//! /pre*          all that begin with /pre
//! ```
//!
//! A part is matched as Netlify's own matcher does it, down to where a second slash is forgiven: once after any part, where
//! the pattern has placeholders at all. At most one `*` keeps a match linear but for the places the splat may end.

/// A compiled path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Exactly this path, without its last slash; empty for `/`.
    Exact(String),
    /// Anything with a placeholder or a splat.
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// `/text`.
    Text(String),
    /// `/:name`: one part of the path.
    One(String),
    /// `/*` at the start, or what follows the text of `/text*`: a slash is left out of the splat, but not needed.
    Loose,
    /// `/*`: nothing, or a slash and anything.
    Splat,
}

/// Where placeholders matched, in the order of the pattern, as ranges of the path.
pub(crate) type Spans = Vec<(usize, usize)>;

impl Pattern {
    /// Reads the path of a rule. It begins with `/` and has at most one `*`, at the end of a part.
    pub(crate) fn new(path: &str) -> Self {
        let is_dynamic = |part: &str| part.ends_with('*') || (part.starts_with(':') && part.len() > 1);
        if !path.split('/').any(is_dynamic) {
            return Self::Exact(path.trim_end_matches('/').to_owned());
        }
        let mut parts = Vec::new();
        for (place, part) in path.split('/').filter(|part| !part.is_empty()).enumerate() {
            match (part.strip_prefix(':').filter(|name| !name.is_empty()), part.strip_suffix('*')) {
                (Some(name), _) => parts.push(Part::One(name.to_owned())),
                (None, Some("")) => parts.push(if place == 0 { Part::Loose } else { Part::Splat }),
                (None, Some(text)) => parts.extend([Part::Text(text.to_owned()), Part::Loose]),
                (None, None) => parts.push(Part::Text(part.to_owned())),
            }
        }
        Self::Parts(parts)
    }

    /// The names of its placeholders, in order; `splat` for `*`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            Self::Exact(_) => &[],
            Self::Parts(parts) => parts.as_slice(),
        };
        parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::One(name) => Some(name.as_str()),
            Part::Loose | Part::Splat => Some("splat"),
        })
    }

    /// The text of its first part, where that is a text and nothing but that text will do.
    pub(crate) fn first_text(&self) -> Option<&str> {
        match self {
            Self::Exact(path) => path.get(1..).map(|path| path.split('/').next().unwrap_or(path)),
            Self::Parts(parts) => match parts.as_slice() {
                [Part::Text(text), rest @ ..] if rest.first() != Some(&Part::Loose) => Some(text),
                _ => None,
            },
        }
    }

    /// Whether it has a splat.
    pub(crate) fn has_splat(&self) -> bool {
        matches!(self, Self::Parts(parts) if parts.iter().any(|part| matches!(part, Part::Loose | Part::Splat)))
    }

    /// Where its placeholders match in `path`, or `None`.
    pub(crate) fn matches(&self, path: &str) -> Option<Spans> {
        match self {
            Self::Exact(exact) => is_exact(exact, path).then(Vec::new),
            Self::Parts(parts) => {
                let mut spans = Vec::new();
                all(parts, path, 0, &mut spans).then_some(spans)
            }
        }
    }
}

/// Whether `path` is `exact`, one slash at its end aside.
pub(crate) fn is_exact(exact: &str, path: &str) -> bool {
    path == exact || path.strip_suffix('/').is_some_and(|path| path == exact)
}

/// Whether `parts` match all of `path` from `at` on.
fn all(parts: &[Part], path: &str, mut at: usize, spans: &mut Spans) -> bool {
    for (place, part) in parts.iter().enumerate() {
        let after = parts.get(place + 1..).unwrap_or_default();
        let text_end = match part {
            Part::Loose => return loose(after, path, at, spans),
            Part::Splat => return splat(after, path, at, spans),
            Part::Text(text) => {
                let rest = path.get(at..).and_then(|rest| rest.strip_prefix('/'));
                let Some(rest) = rest.and_then(|rest| rest.strip_prefix(text.as_str())) else { return false };
                path.len() - rest.len()
            }
            Part::One(_) => {
                let Some(rest) = path.get(at..).and_then(|rest| rest.strip_prefix('/')) else { return false };
                let length = rest.find('/').unwrap_or(rest.len());
                if length == 0 {
                    return false;
                }
                spans.push((at + 1, at + 1 + length));
                at + 1 + length
            }
        };
        at = text_end + usize::from(forgives_slash(after, path, text_end));
    }
    at == path.len()
}

/// Whether the slash at `at` is passed over between two parts: at the end, or where a second one follows.
fn forgives_slash(after: &[Part], path: &str, at: usize) -> bool {
    let rest = path.get(at..).unwrap_or_default();
    match after.first() {
        None => rest == "/",
        Some(Part::Text(_) | Part::One(_)) => rest.starts_with("//"),
        Some(Part::Loose | Part::Splat) => false,
    }
}

/// `/?(.*)/?` and then `after`, the splat as long as possible.
fn loose(after: &[Part], path: &str, at: usize, spans: &mut Spans) -> bool {
    let slash = path.get(at..).is_some_and(|rest| rest.starts_with('/'));
    (slash && longest(after, path, at + 1, spans)) || longest(after, path, at, spans)
}

/// `(?:|/|/(.*)/?)` and then `after`.
fn splat(after: &[Part], path: &str, at: usize, spans: &mut Spans) -> bool {
    let slash = path.get(at..).is_some_and(|rest| rest.starts_with('/'));
    ends_at(after, path, (at, at), at, spans)
        || slash && (ends_at(after, path, (at, at), at + 1, spans) || longest(after, path, at + 1, spans))
}

/// `(.*)/?` from `start` on and then `after`, the splat as long as possible.
fn longest(after: &[Part], path: &str, start: usize, spans: &mut Spans) -> bool {
    if after.is_empty() {
        spans.push((start, path.len()));
        return true;
    }
    let rest = path.get(start..).unwrap_or_default();
    // What follows begins with a slash, and one more may stand before it.
    for (slash, _) in rest.rmatch_indices('/') {
        let end = start + slash;
        let doubled = slash > 0 && rest.as_bytes().get(slash - 1) == Some(&b'/');
        if ends_at(after, path, (start, end), end, spans)
            || doubled && ends_at(after, path, (start, end - 1), end, spans)
        {
            return true;
        }
    }
    false
}

fn ends_at(after: &[Part], path: &str, span: (usize, usize), next: usize, spans: &mut Spans) -> bool {
    let before = spans.len();
    spans.push(span);
    if all(after, path, next, spans) {
        return true;
    }
    spans.truncate(before);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str) -> String {
        let pattern = Pattern::new(pattern);
        match pattern.matches(path) {
            None => "-".into(),
            Some(spans) => {
                let values =
                    pattern.names().zip(spans).map(|(name, (first, end))| format!("{name}={}", &path[first..end]));
                values.collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn paths_match_as_the_conventions_say() {
        for (pattern, path, expected) in [
            ("/home", "/home", ""),
            ("/home", "/home/", ""),
            ("/home/", "/home", ""),
            ("/home", "/Home", "-"),
            ("/home", "/home//", "-"),
            ("/", "/", ""),
            ("/news/*", "/news", "splat="),
            ("/news/*", "/news/", "splat="),
            ("/news/*", "/news/a/b", "splat=a/b"),
            ("/news/*", "/newsx", "-"),
            ("/news/*", "/news//a", "splat=/a"),
            ("/a/*/c", "/a/b/c", "splat=b"),
            ("/a/*/c", "/a/b/d/c/", "splat=b/d"),
            ("/a/*/c", "/a/c", "splat="),
            ("/a/*/c", "/ab/c", "-"),
            ("/a/*.html", "/a/x.html", "-"),
            ("/pre*", "/prefix/y", "splat=fix/y"),
            ("/pre*", "/pre/y", "splat=y"),
            ("/x/:id", "/x/1/", "id=1"),
            ("/x/:id", "/x/", "-"),
            ("/x/:id", "/x/1/2", "-"),
            ("/a/:x/b/:y", "/a//1/b/2", "x=1 y=2"),
            ("/:x/*/:y", "/a//b//c", "x=a splat=/b/ y=c"),
            ("/*", "/", "splat="),
            ("/*/b", "/b", "splat="),
            ("/:a/*", "/é/ö", "a=é splat=ö"),
        ] {
            assert_eq!(check(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_path_is_matched_quickly() {
        let pattern = Pattern::new(&format!("/*{}/z", "/:a".repeat(60)));
        assert!(pattern.matches(&"/a".repeat(4000)).is_none());
        assert!(Pattern::new("/a/*/b/c").matches(&format!("/a{}", "/".repeat(8000))).is_none());
    }
}
