//! What outlives an app's instances: its volumes and databases.

use serde::{Deserialize, Serialize};

use crate::volume::{DatabaseKind, MountPath, Writers};
use crate::{Timestamp, VolumeName};

/// `POST /v1/apps/{app}/databases`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateDatabase {
    /// Its name, `[a-z][a-z0-9-]{0,39}`; no other database or volume of the app has it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "main"))]
    pub name: VolumeName,
    /// Left out: on the owner's PostgreSQL server where there is one, else SQLite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DatabaseKind>,
    /// Of SQLite: where the app sees the folder with the file; `/data` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub path: Option<MountPath>,
}

/// A database of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Database {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: VolumeName,
    /// What it is.
    pub kind: DatabaseKind,
    /// The variables that its app's instances find it by; values are never returned. Of two that have one in common the older has it,
    /// and what the app's owner sets wins.
    pub variables: Vec<String>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

/// `GET /v1/apps/{app}/databases`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseList {
    /// Oldest first.
    pub databases: Vec<Database>,
}

/// `POST /v1/apps/{app}/volumes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateVolume {
    /// Its name, `[a-z][a-z0-9-]{0,39}`; no other database or volume of the app has it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "files"))]
    pub name: VolumeName,
    /// Where the app sees it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "/data"))]
    pub path: MountPath,
    /// How many instances may have it at a time; one where it is left out.
    #[serde(default = "one")]
    pub writers: Writers,
}

fn one() -> Writers {
    Writers::One
}

/// A volume of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Volume {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: VolumeName,
    /// Where the app sees it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub path: MountPath,
    /// How many instances may have it at a time.
    pub writers: Writers,
    /// Whether it is a database's.
    pub database: bool,
    /// The node that has it, once an instance had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

/// `GET /v1/apps/{app}/volumes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VolumeList {
    /// Oldest first.
    pub volumes: Vec<Volume>,
}
