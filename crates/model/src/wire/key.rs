use serde::{Deserialize, Deserializer, Serialize};

use super::AiUsed;
use crate::key::{Quota, Rate, Scope};
use crate::{Timestamp, TokenId};

/// `POST /v1/keys`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What it is called, for people.
    pub name: String,
    /// What it may be used for; at least one.
    pub scopes: Vec<Scope>,
    /// After how many seconds it stops working, 3153600000 (100 years) at most; left out, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// How often it may be used; left out, as often as one likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many runs it may have at the same time: of those that its clients wait for in each process (one more is refused), of those that
    /// are queued in all (one more waits); left out, as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How much it may have on one day (UTC); left out, as much as one likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// The highest priority that its runs may ask for; left out, 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_max: Option<i32>,
}

/// `PATCH /v1/keys/{key}`: what is left out stays as it is, `null` takes a limit away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeKey {
    /// After how many seconds from now on it stops working, 3153600000 (100 years) at most; `null`, never.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub expires_in_s: Option<Option<u64>>,
    /// How often it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Rate>))]
    pub rate: Option<Option<Rate>>,
    /// How many runs it may have at the same time: of those that its clients wait for, and of those that are queued.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub at_once: Option<Option<u32>>,
    /// How much it may have on one day (UTC), as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Quota>))]
    pub quota: Option<Option<Quota>>,
    /// The highest priority that its runs may ask for; `null`, 0.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i32>))]
    pub priority_max: Option<Option<i32>>,
}

/// What is there was said, also where that is `null`.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Key {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: TokenId,
    /// What it is called.
    pub name: String,
    /// The key itself: told once, in the answer that made it, and kept nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
    /// How often it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many runs it may have at the same time: of those that its clients wait for, and of those that are queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How much it may have on one day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// The highest priority that its runs may ask for, where that is not 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_max: Option<i32>,
    /// What its runs have come to today (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<RunsUsed>,
    /// What models have done for it so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiUsed>,
}

/// `GET /v1/keys`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyList {
    /// Those that work, oldest first.
    pub keys: Vec<Key>,
}

/// What runs of a key have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunsUsed {
    /// How many were asked for; several inputs of one request are several runs.
    pub runs: u64,
    /// Processor time of those that have ended, in microseconds.
    pub cpu_us: u64,
}

impl RunsUsed {
    /// Adds what some more came to.
    pub fn add(&mut self, more: Self) {
        self.runs = self.runs.saturating_add(more.runs);
        self.cpu_us = self.cpu_us.saturating_add(more.cpu_us);
    }
}
