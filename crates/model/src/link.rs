//! What a deployment asks to reach besides public addresses: `[[link]]` in `skylift.toml`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AppName, ServiceName};

/// More links of one deployment than anybody needs.
pub const LINKS_MAX: usize = 32;

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// To a service that the platform's owner names.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    Service(ServiceName),
    /// To another app.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    App(AppName),
}

impl Link {
    /// What it leads to, by its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) => name.as_str(),
            Self::App(name) => name.as_str(),
        }
    }

    /// The beginning of the names of its variables: `MESSAGES` for a service `messages`.
    pub fn variable_prefix(&self) -> String {
        self.name().to_ascii_uppercase().replace('-', "_")
    }
}

/// As in "link: service messages".
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service {name}"),
            Self::App(name) => write!(f, "app {name}"),
        }
    }
}
