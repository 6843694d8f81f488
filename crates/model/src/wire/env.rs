use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{EnvName, Timestamp};

/// `PATCH /v1/apps/{app}/env`: values to set, names to remove, in one step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EnvChange {
    /// Name to value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub set: BTreeMap<EnvName, String>,
    /// Names to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub unset: Vec<EnvName>,
}

/// `GET /v1/apps/{app}/env`. Values are write-only: no answer ever carries one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvList {
    /// The version of the whole set; every change makes a new one, a rollback brings an old one back.
    pub version: u64,
    /// By name.
    pub variables: Vec<EnvVar>,
}

/// One environment variable, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvVar {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: EnvName,
    /// When its value was last set.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}
