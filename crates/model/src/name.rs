//! Names users choose. Each kind has one grammar, checked where the value is made.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of an app: `[a-z][a-z0-9-]{0,39}`, never starting with `d-` (deployment ids do) nor `xn--`, and not
/// one of the platform's own host names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(ArrayString<APP_MAX>);

/// How long the name of an app may be: it is a label of a host name, with room for more before it.
const APP_MAX: usize = 40;

/// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]{0,127}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(Box<str>);

/// The name of a service that the platform's owner opens to apps: `[a-z][a-z0-9-]{0,39}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Box<str>);

/// The name of a volume or a database of an app: `[a-z][a-z0-9-]{0,39}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(Box<str>);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("app names are 1 to 40 characters: a lower-case letter first, then lower-case letters, digits or `-`")]
    App,
    #[error("app names must not start with `d-` (deployment ids do) or `xn--`")]
    ReservedPrefix,
    #[error("`{0}` is one of the platform's own host names; choose another app name")]
    ReservedHost(String),
    #[error(
        "environment variable names are letters, digits and `_`, not starting with a digit, at most 128 characters"
    )]
    Env,
    #[error("service names are 1 to 40 characters: a lower-case letter first, then lower-case letters, digits or `-`")]
    Service,
    #[error(
        "names of volumes and databases are 1 to 40 characters: a lower-case letter first, then lower-case letters, digits or `-`"
    )]
    Volume,
}

/// Host names that lead to the platform itself, now or in later versions.
const RESERVED_HOSTS: &[&str] =
    &["api", "www", "admin", "dashboard", "console", "git", "registry", "piston", "judge0", "localhost", "mail", "ns"];

/// The same, of those that came later: an app that was called so before keeps its name.
const RESERVED_LATER: &[&str] = &["ai"];

impl AppName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for a new app.
    ///
    /// # Errors
    /// Where it has become one of the platform's own host names.
    pub fn for_new(self) -> Result<Self, InvalidName> {
        if RESERVED_LATER.contains(&self.as_str()) {
            return Err(InvalidName::ReservedHost(self.as_str().to_owned()));
        }
        Ok(self)
    }

    /// The nearest app name to any text, such as a folder's name; `app` where nothing of it can stay.
    pub fn suggest(text: &str) -> Self {
        let mut name = String::new();
        for c in text.to_ascii_lowercase().chars() {
            let c = if c.is_ascii_alphanumeric() { c } else { '-' };
            let dashes = name.ends_with('-') || name.is_empty();
            if (c == '-' && dashes) || (name.is_empty() && !c.is_ascii_lowercase()) {
                continue;
            }
            if name.len() < APP_MAX {
                name.push(c);
            }
        }
        let name = name.trim_end_matches('-');
        let or_app = || Self(ArrayString::from("app").unwrap_or_default());
        let new = name.parse().and_then(Self::for_new);
        new.or_else(|_| format!("app-{name}").parse()).unwrap_or_else(|_| or_app())
    }
}

impl FromStr for AppName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if !is_label(text) {
            return Err(InvalidName::App);
        }
        if text.starts_with("d-") || text.starts_with("xn--") {
            return Err(InvalidName::ReservedPrefix);
        }
        if RESERVED_HOSTS.contains(&text) {
            return Err(InvalidName::ReservedHost(text.to_owned()));
        }
        ArrayString::from(text).map(Self).map_err(|_| InvalidName::App)
    }
}

/// A letter first, then letters, digits and `-`; in lower case, at most 40 of them.
fn is_label(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts_right = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let goes_on_right = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    starts_right && goes_on_right && text.len() <= APP_MAX && !text.ends_with('-')
}

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_label(text) { Ok(Self(text.into())) } else { Err(InvalidName::Service) }
    }
}

impl VolumeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_label(text) { Ok(Self(text.into())) } else { Err(InvalidName::Volume) }
    }
}

impl EnvName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut bytes = text.bytes();
        let starts_right = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if starts_right && text.len() <= 128 && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::Env)
        }
    }
}

macro_rules! text_traits {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

text_traits!(AppName EnvName ServiceName VolumeName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_follow_their_grammar() {
        for good in ["a", "shop", "my-app-2", "dx-1", &"a".repeat(40)] {
            assert_eq!(good.parse::<AppName>().unwrap().as_str(), good);
        }
        for bad in ["", "A", "1a", "-a", "a_b", "a.b", "a-", &"a".repeat(41), "a b", "ä"] {
            assert_eq!(bad.parse::<AppName>(), Err(InvalidName::App), "{bad}");
        }
        assert_eq!("d-1".parse::<AppName>(), Err(InvalidName::ReservedPrefix));
        assert!("api".parse::<AppName>().is_err());
    }

    #[test]
    fn an_app_keeps_a_name_that_no_new_one_gets() {
        for name in ["piston", "judge0"] {
            assert!(name.parse::<AppName>().is_err(), "{name}");
        }
        let before: AppName = "ai".parse().unwrap();
        assert_eq!(before.for_new(), Err(InvalidName::ReservedHost("ai".into())));
        assert_eq!("shop".parse::<AppName>().unwrap().for_new().unwrap().as_str(), "shop");
    }

    #[test]
    fn any_folder_name_suggests_a_legal_app_name() {
        for (text, name) in [
            ("My Site!", "my-site"),
            ("2048", "app"),
            ("d-day", "app-d-day"),
            ("", "app"),
            ("api", "app-api"),
            ("ai", "app-ai"),
        ] {
            assert_eq!(AppName::suggest(text).as_str(), name, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_suggestion_parses(text in ".{0,80}") {
            let name = AppName::suggest(&text);
            proptest::prop_assert_eq!(name.as_str().parse::<AppName>().unwrap(), name);
        }
    }
}
