//! `Cache-Control`, of requests and of answers.

use http::{HeaderMap, HeaderName};

/// Numbers of seconds beyond this are this: 68 years.
const SECONDS_MAX: u64 = 1 << 31;

/// What `Cache-Control` says. Directives that are not known are not there; those that name fields (`private="x"`) count
/// for the whole answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    pub no_store: bool,
    pub no_cache: bool,
    pub private: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub only_if_cached: bool,
    /// Seconds, as all numbers here. One that cannot be read is 0.
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub stale_while_revalidate: Option<u64>,
    pub stale_if_error: Option<u64>,
    pub min_fresh: Option<u64>,
    /// `max-stale` without a number is any staleness.
    pub max_stale: Option<u64>,
}

impl Directives {
    /// Reads a field, over all its lines.
    pub fn read(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut directives = Self::default();
        for value in headers.get_all(name) {
            let Ok(text) = value.to_str() else { continue };
            for item in items(text) {
                let (name, value) = item.split_once('=').map_or((item, None), |(name, value)| (name, Some(value)));
                directives.take(&name.to_ascii_lowercase(), value);
            }
        }
        directives
    }

    fn take(&mut self, name: &str, value: Option<&str>) {
        match name {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "private" => self.private = true,
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => least(&mut self.max_age, value),
            "s-maxage" => least(&mut self.s_maxage, value),
            "stale-while-revalidate" => least(&mut self.stale_while_revalidate, value),
            "stale-if-error" => least(&mut self.stale_if_error, value),
            "min-fresh" => self.min_fresh = Some(value.and_then(seconds).unwrap_or(SECONDS_MAX)),
            "max-stale" => self.max_stale = Some(value.map_or(SECONDS_MAX, |value| seconds(value).unwrap_or(0))),
            _ => {}
        }
    }
}

/// Of several values the least: none of them lets more through than what was meant.
fn least(known: &mut Option<u64>, value: Option<&str>) {
    let value = value.and_then(seconds).unwrap_or(0);
    *known = Some(known.map_or(value, |known| known.min(value)));
}

/// Digits, in quotes or not.
fn seconds(text: &str) -> Option<u64> {
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let digits = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit());
    // What is too long for a number is a large one.
    digits.then(|| bare.parse().unwrap_or(SECONDS_MAX).min(SECONDS_MAX))
}

/// The members of a list, where a comma within quotes is none.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == ',' && !quoted
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CACHE_CONTROL;

    fn read(lines: &[&'static str]) -> Directives {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, http::HeaderValue::from_static(line));
        }
        Directives::read(&headers, &CACHE_CONTROL)
    }

    #[test]
    fn numbers_are_digits_and_what_is_none_is_zero() {
        for (text, wanted) in [
            ("max-age=60", 60),
            ("MAX-AGE=0060", 60),
            ("max-age=\"60\"", 60),
            ("max-age='60'", 0),
            ("max-age=-60", 0),
            ("max-age=6.0", 0),
            ("max-age=", 0),
            ("max-age", 0),
            ("max-age=60a", 0),
            ("max-age=99999999999999999999999", SECONDS_MAX),
            ("x=\"a, max-age=5\", max-age=60", 60),
            ("x=\"a\\\", max-age=5\", max-age=60", 60),
            ("max-age=60, max-age=30", 30),
        ] {
            assert_eq!(read(&[text]).max_age, Some(wanted), "{text}");
        }
        assert_eq!(read(&["max-age = 60"]).max_age, None, "no spaces around the sign");
        assert_eq!(read(&["x=\"max-age=60"]).max_age, None);
    }

    #[test]
    fn all_lines_count_and_fields_named_count_for_the_whole() {
        let directives = read(&["No-Store, private=\"a, b\"", "no-cache=set-cookie", ", ,", "max-stale, min-fresh=3"]);
        let wanted = Directives {
            no_store: true,
            private: true,
            no_cache: true,
            max_stale: Some(SECONDS_MAX),
            min_fresh: Some(3),
            ..Directives::default()
        };
        assert_eq!(directives, wanted);
    }
}
