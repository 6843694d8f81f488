//! What a request has to be, besides its address, for a redirect to apply.

use serde::{Deserialize, Serialize};

use crate::ask::Ask;

/// Conditions; each list is met by any of its members, and every list that is there has to be met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Codes of countries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Vec<String>>,
    /// Tags of languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Vec<String>>,
    /// Names of cookies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Vec<String>>,
    /// Roles in a signed token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Vec<String>>,
}

/// Whether a request is what a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    /// All but for its role: we can check no tokens, so nobody has one.
    RoleMissing,
    Unmet,
}

impl Conditions {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How often the cookies of a request are read through, at most.
    pub(crate) fn cookies_looked_up(&self) -> usize {
        let chosen = |list: &Option<Vec<String>>| usize::from(list.is_some());
        let languages = self.language.as_ref().map_or(0, Vec::len) + self.country.as_ref().map_or(0, Vec::len);
        chosen(&self.language) + chosen(&self.country) + languages / 8 + self.cookie.as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn weigh(&self, ask: &Ask<'_>) -> Verdict {
        let country = |codes: &Vec<String>| {
            let country = ask.country();
            codes.iter().any(|code| country.as_deref().is_some_and(|country| country.eq_ignore_ascii_case(code)))
        };
        let language = |tags: &Vec<String>| {
            let language = ask.language();
            tags.iter().any(|tag| language.as_deref().is_some_and(|language| speaks(language, tag)))
        };
        let cookie =
            |names: &Vec<String>| names.iter().any(|name| ask.cookie(name).is_some_and(|value| !value.is_empty()));
        let met = self.country.as_ref().is_none_or(country)
            && self.language.as_ref().is_none_or(language)
            && self.cookie.as_ref().is_none_or(cookie);
        match (met, &self.role) {
            (false, _) => Verdict::Unmet,
            (true, Some(_)) => Verdict::RoleMissing,
            (true, None) => Verdict::Met,
        }
    }
}

/// Whether somebody who asks for `language` (`en-GB`) is meant by `tag` (`en`, `en-GB`).
fn speaks(language: &str, tag: &str) -> bool {
    let base = match language.split_once('-') {
        Some((base, rest)) if !rest.is_empty() => base,
        _ => language,
    };
    language.eq_ignore_ascii_case(tag) || base.eq_ignore_ascii_case(tag)
}
