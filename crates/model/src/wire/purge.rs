use serde::{Deserialize, Serialize};

/// `POST /v1/apps/{app}/purge`: which kept answers of other hosts to drop; all of the app's where nothing is named.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// Those of this path, as in an address, whatever their query; one that ends in `*` is for all that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Those with this name in their `Cache-Tag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Purged {
    /// Whether every edge has said that it is done; else it will be, once they all hear of it.
    pub applied: bool,
}
