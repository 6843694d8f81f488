//! API keys: what each may do, and how much of it.

use serde::{Deserialize, Serialize};

use crate::run::PRIORITY_MAX;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything, as the owner's token.
    Everything,
    /// To run code, and to ask for languages and limits.
    Runs,
    /// To ask models, and to let runs ask them.
    Ai,
    /// To have runs see the sets of packages that the owner has named.
    Packages,
}

impl Scope {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Runs => "runs",
            Self::Ai => "ai",
            Self::Packages => "packages",
        }
    }

    /// Whether who has this may do what asks for `other`.
    pub fn covers(self, other: Self) -> bool {
        self == Self::Everything || self == other
    }
}

/// How often a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many runs …
    pub runs: u32,
    /// … in so many seconds; left out, in one.
    #[serde(default = "one")]
    pub per_s: u32,
    /// How many at once after a rest; left out, `runs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

fn one() -> u32 {
    1
}

/// How much a key may have on one day (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// So many runs; left out, as many as one likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_per_day: Option<u32>,
    /// So many seconds of processor time; left out, as many as one likes. When they are used up what has begun goes on, and what is queued
    /// waits for the next day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_s_per_day: Option<u32>,
}

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What for.
    pub scopes: Vec<Scope>,
    /// How often; `None` for as often as one likes.
    pub rate: Option<Rate>,
    /// How many runs at the same time: of those whose clients wait in each process, and of those that are queued in all; `None` for as many as there are.
    pub at_once: Option<u32>,
    /// How much on one day; `None` for as much as one likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// The highest priority that its runs may have; `None` for 0, the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_max: Option<i32>,
}

impl Grant {
    /// The owner's.
    pub fn everything() -> Self {
        Self::for_scopes(vec![Scope::Everything])
    }

    /// One without limits.
    pub fn for_scopes(scopes: Vec<Scope>) -> Self {
        Self { scopes, rate: None, at_once: None, quota: None, priority_max: None }
    }

    /// The highest priority that its runs may have.
    pub fn priority_max(&self) -> i32 {
        if self.covers(Scope::Everything) { PRIORITY_MAX } else { self.priority_max.unwrap_or(0) }
    }

    /// Whether it covers a scope.
    pub fn covers(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|own| own.covers(scope))
    }
}
