//! A request, as far as rules look at it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A request. Nothing in it is trusted; what it says of itself is only ever compared with what the site's owner wrote.
#[derive(Clone, Copy)]
pub struct Ask<'r> {
    /// `http` or `https`.
    pub scheme: &'r str,
    /// The host, without its port, in lower case.
    pub host: &'r str,
    /// The path as it was sent, `%` escapes and all; begins with `/`.
    pub path: &'r str,
    /// The query as it was sent, without `?`.
    pub query: Option<&'r str>,
    /// The country the client seems to be in, where somebody knows.
    pub country: Option<&'r str>,
    /// The value of a header field by its name in lower case; the first one where there are several.
    pub header: &'r dyn Fn(&str) -> Option<&'r str>,
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}?{:?}", self.scheme, self.host, self.path, self.query)
    }
}

impl<'r> Ask<'r> {
    /// The path with its escapes read; `None` where that is no text.
    pub(crate) fn decoded_path(&self) -> Option<Cow<'r, str>> {
        if !self.path.contains('%') {
            return Some(Cow::Borrowed(self.path));
        }
        percent_decode_str(self.path).decode_utf8().ok()
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&'r str> {
        let pairs = (self.header)("cookie")?.split(';');
        let mut named = pairs.filter_map(|pair| pair.split_once('=')).filter(|(key, _)| key.trim() == name);
        named.next().map(|(_, value)| value.trim().trim_matches('"'))
    }

    /// The country, which a visitor may choose with the cookie `nf_country`.
    pub(crate) fn country(&self) -> Option<Cow<'r, str>> {
        self.cookie("nf_country").filter(|value| !value.is_empty()).or(self.country).map(Cow::Borrowed)
    }

    /// The first language, which a visitor may choose with the cookie `nf_lang`.
    pub(crate) fn language(&self) -> Option<Cow<'r, str>> {
        let chosen = self.cookie("nf_lang").filter(|value| !value.is_empty());
        let accepted = || (self.header)("accept-language")?.split([',', ';']).next().map(str::trim);
        chosen.or_else(accepted).filter(|tag| !tag.is_empty()).map(Cow::Borrowed)
    }
}
