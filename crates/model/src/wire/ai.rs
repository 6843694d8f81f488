use serde::{Deserialize, Serialize};

use crate::TokenId;

/// What models have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AiUsed {
    /// Requests that a model worked for.
    pub requests: u64,
    /// Tokens that were read.
    pub prompt_tokens: u64,
    /// Tokens that were written.
    pub completion_tokens: u64,
}

/// `GET /v1/ai/usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AiUsage {
    /// For each key and day on which it asked, the newest day first.
    pub days: Vec<AiDay>,
}

/// What models have done for one key on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AiDay {
    /// The day, UTC, such as `2026-01-02`.
    pub day: String,
    /// The key's id; of the owner's token, too.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub key: TokenId,
    /// What the key is called.
    pub name: String,
    /// What was done.
    #[serde(flatten)]
    pub used: AiUsed,
}
