use serde::{Deserialize, Serialize};

use crate::run::{LimitsKnown, Warmth};

/// `GET /v1/languages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LanguageList {
    /// What can be run here.
    pub languages: Vec<Language>,
}

/// A language that can be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Language {
    /// Its name.
    pub name: String,
    /// Other names that it is known by.
    pub aliases: Vec<String>,
    /// The version that is here.
    pub version: String,
    /// What its source is called where no name is given.
    pub file_name: String,
    /// Whether it is compiled before it is run.
    pub compiled: bool,
    /// What `compile_options` may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compile_options: Vec<String>,
    /// What `packages` may name; for keys that may name one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub package_sets: Vec<PackageSet>,
    /// How its interpreter waits for runs at the moment: `fork` where it is loaded and forked, `prestarted` where it is started ahead. Left out
    /// where nobody has run any of it for a while, and of languages of which none waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Warmth>,
}

impl Language {
    /// Every name that it may be asked for by; its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.aliases).map(String::as_str)
    }

    /// Whether it is called so, however that is written: `Python` is `python`.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.trim();
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Packages that the owner has put together under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackageSet {
    /// What a run asks for it by.
    pub name: String,
    /// Whether it can be used.
    pub state: PackageSetState,
    /// What is in it, once it was built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// Why it could not be built the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far a set of packages is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PackageSetState {
    /// Runs get it.
    Ready,
    /// It is being built; runs that ask for it wait.
    Building,
    /// It could not be built, and is tried again.
    Failed,
}

/// One package of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The version that is there.
    pub version: String,
    /// What was fetched for it, as its registry names it: `sha256:…`, or the `integrity` of a lock file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// `GET /v1/limits`: what runs may use, what the usual is, and what may be asked for at most.
pub type RunLimits = LimitsKnown;
