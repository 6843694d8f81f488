//! An app's environment variables, as they are sealed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{EnvName, Timestamp};

/// The variables of one version of an app's environment.
#[derive(Default, Serialize, Deserialize)]
pub struct Environment(pub BTreeMap<EnvName, Variable>);

/// One variable. It has no `Debug`, so that no log can show its value.
#[derive(Serialize, Deserialize)]
pub struct Variable {
    /// Its value.
    pub value: String,
    /// When it was last set.
    pub updated_at: Timestamp,
}
