//! Launch templates and instance types.

use serde::{Deserialize, Serialize};

use crate::instance_type::InstanceType;
use crate::{Template, Timestamp};

/// `GET /v1/apps/{app}/template`: what new instances of what is live are started from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LaunchTemplate {
    /// Counts the contents that an app's instances were ever started from; the same content has the same number.
    pub version: u64,
    /// When that content was first in force.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// How many instances that answer were started from it.
    pub ready: u32,
    /// How many that answer were started from another one and are replaced one by one.
    pub older: u32,
    /// What it says.
    pub template: Template,
}

/// `GET` and `PUT /v1/apps/{app}/instance-type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChosenType {
    /// The one that was chosen by command; absent where `skylift.toml`, or the default, counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Those there are.
    #[serde(default)]
    pub types: Vec<InstanceType>,
}

/// `PUT /v1/apps/{app}/instance-type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChooseType {
    /// The name of an instance type; null leaves it to `skylift.toml` again.
    #[serde(rename = "type")]
    pub name: Option<String>,
}
