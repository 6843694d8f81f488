//! What outlives an app's instances: volumes, which are folders, and databases in them or on a server. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::VolumeName;

/// Where a volume is seen unless something else is said.
pub const USUAL_PATH: &str = "/data";
/// How long a path may be.
const PATH_MAX: usize = 200;
/// What is the sandbox's own, below the root.
const TAKEN: &[&str] = &[
    "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "tmp", "usr",
];

/// How many instances may have a volume at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Writers {
    /// Never two, not even for a moment.
    One,
    /// Whoever runs.
    Many,
}

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// A file on a volume of its own, with one writer.
    Sqlite,
    /// A database and a role of its own on the owner's server.
    Postgres,
}

/// Where a volume is seen by its app: an absolute path that is not the sandbox's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MountPath(String);

/// Why a text is no such path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMountPath {
    #[error(
        "a volume's path is absolute, of letters, digits, `.`, `_` and `-` between `/`, without `.` and `..`: {USUAL_PATH}"
    )]
    Form,
    #[error("`/{0}` is the sandbox's own; choose a path such as {USUAL_PATH} or /app/storage")]
    Taken(String),
}

impl Writers {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Many => "many",
        }
    }

    /// From what is stored.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::One, Self::Many].into_iter().find(|writers| writers.as_str() == name)
    }
}

impl MountPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one of the two lies in the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (format!("{}/", self.0), format!("{}/", other.0));
        one.starts_with(&other) || other.starts_with(&one)
    }
}

impl Default for MountPath {
    fn default() -> Self {
        Self(USUAL_PATH.to_owned())
    }
}

impl FromStr for MountPath {
    type Err = InvalidMountPath;

    fn from_str(text: &str) -> Result<Self, InvalidMountPath> {
        let below = text.strip_prefix('/').ok_or(InvalidMountPath::Form)?;
        let is_part = |part: &str| {
            let letters = part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            letters && !matches!(part, "" | "." | "..")
        };
        if text.len() > PATH_MAX || !below.split('/').all(is_part) {
            return Err(InvalidMountPath::Form);
        }
        let first = below.split('/').next().unwrap_or_default();
        if TAKEN.contains(&first) || below == "app" {
            return Err(InvalidMountPath::Taken(first.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for MountPath {
    type Error = InvalidMountPath;

    fn try_from(text: String) -> Result<Self, InvalidMountPath> {
        text.parse()
    }
}

impl From<MountPath> for String {
    fn from(path: MountPath) -> Self {
        path.0
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The variables that lead an app to a volume of its own.
pub fn volume_environment(name: &VolumeName, path: &MountPath) -> BTreeMap<String, String> {
    [(format!("{}_PATH", prefix(name)), path.to_string())].into()
}

/// The variables that lead an app to a SQLite database at `path`: as an address with the four slashes of an absolute path, and as
/// the file's path for those who read no address.
pub fn sqlite_environment(name: &VolumeName, path: &MountPath) -> BTreeMap<String, String> {
    let file = format!("{path}/{name}.db");
    let url = format!("sqlite:///{file}");
    let prefix = prefix(name);
    [
        ("DATABASE_URL".to_owned(), url.clone()),
        ("DATABASE_PATH".to_owned(), file.clone()),
        (format!("{prefix}_URL"), url),
        (format!("{prefix}_PATH"), file),
    ]
    .into()
}

/// The beginning of the names of its variables: `MAIN` for `main`.
pub fn prefix(name: &VolumeName) -> String {
    name.as_str().to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_are_nobody_elses_are_taken() {
        for good in ["/data", "/data/main", "/app/storage", "/var/lib/shop", "/srv/a.b_c-d"] {
            assert_eq!(good.parse::<MountPath>().unwrap().as_str(), good);
        }
        for bad in ["", "data", "/", "/data/", "//data", "/data/../etc", "/da ta", "/dätä", "/a\0b"] {
            assert_eq!(bad.parse::<MountPath>(), Err(InvalidMountPath::Form), "{bad:?}");
        }
        for taken in ["/etc", "/usr/x", "/proc/1", "/tmp/x", "/app", "/home/app"] {
            assert!(matches!(taken.parse::<MountPath>(), Err(InvalidMountPath::Taken(_))), "{taken}");
        }
        let path = |text: &str| text.parse::<MountPath>().unwrap();
        assert!(path("/data").overlaps(&path("/data/main")) && path("/data/main").overlaps(&path("/data")));
        assert!(path("/data").overlaps(&path("/data")) && !path("/data").overlaps(&path("/data2")));
    }

    #[test]
    fn a_database_in_a_file_is_told_as_clients_read_it() {
        let env = sqlite_environment(&"my-main".parse().unwrap(), &MountPath::default());
        let shown: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            [
                "DATABASE_PATH=/data/my-main.db",
                "DATABASE_URL=sqlite:////data/my-main.db",
                "MY_MAIN_PATH=/data/my-main.db",
                "MY_MAIN_URL=sqlite:////data/my-main.db",
            ]
        );
    }
}
