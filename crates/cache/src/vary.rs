//! Which of several answers to one address is for a request.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderName};

/// The fields of a request that its answer was chosen by, as they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selecting(Vec<(HeaderName, Option<String>)>);

impl Selecting {
    /// What an answer says it was chosen by; `None` where nobody can know, so that it fits no other request.
    pub fn of(request: &HeaderMap, answer: &HeaderMap) -> Option<Self> {
        let mut names: Vec<HeaderName> = Vec::new();
        for value in answer.get_all(VARY) {
            for name in value.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                // Also `*`, which is no name of a field for us.
                let name = if name == "*" { None } else { HeaderName::from_bytes(name.as_bytes()).ok() };
                names.push(name?);
            }
        }
        // Some forget to say it; whoever cannot read an encoding must not get it.
        if answer.contains_key(CONTENT_ENCODING) {
            names.push(ACCEPT_ENCODING);
        }
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Some(Self(names.into_iter().map(|name| (name.clone(), value_of(request, &name))).collect()))
    }

    /// Whether a request would have been answered alike.
    pub fn fits(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| value_of(request, name) == *value)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.as_str().len() + value.as_ref().map_or(0, String::len) + 48).sum()
    }
}

/// All lines of a field as one, with the spaces around its members taken out.
fn value_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let texts = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
    let whole = texts.collect::<Vec<_>>().join(",");
    Some(whole.split(',').map(str::trim).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_fields_an_answer_names_have_to_be_the_same() {
        let answer = map(&[("vary", "Foo"), ("vary", "bar, , FOO")]);
        let selecting = Selecting::of(&map(&[("foo", "1"), ("baz", "2")]), &answer).unwrap();
        assert!(selecting.fits(&map(&[("foo", "1")])));
        assert!(selecting.fits(&map(&[("foo", " 1 "), ("baz", "9")])));
        assert!(!selecting.fits(&map(&[("foo", "2")])));
        assert!(!selecting.fits(&map(&[])));
        assert!(!selecting.fits(&map(&[("foo", "1"), ("bar", "")])));
    }

    #[test]
    fn a_star_fits_nobody_wherever_it_stands() {
        for vary in ["*", "*, *", ", *", "foo, *", "*, foo", "f oo"] {
            assert_eq!(Selecting::of(&map(&[]), &map(&[("vary", vary)])), None, "{vary}");
        }
        assert_eq!(Selecting::of(&map(&[]), &map(&[("vary", "foo"), ("vary", "*")])), None);
    }

    #[test]
    fn an_encoded_answer_is_for_who_accepts_alike_even_where_it_does_not_say_so() {
        let selecting =
            Selecting::of(&map(&[("accept-encoding", "gzip")]), &map(&[("content-encoding", "gzip")])).unwrap();
        assert!(selecting.fits(&map(&[("accept-encoding", "gzip")])));
        assert!(!selecting.fits(&map(&[])));
    }
}
