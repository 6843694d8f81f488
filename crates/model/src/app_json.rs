//! What a plan has of a source's `app.json`, as Heroku and Dokku read it, where no setting of ours has a place for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What `app.json` says beside health and scaling, which stand in the plan itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct AppJson {
    /// Values of variables that nobody else gives one: neither a link, nor `skylift.toml`, nor the app's owner.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// Variables without which there is no deployment.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub required: BTreeSet<String>,
    /// Variables that get a secret of their own, once, where they have no value.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// How many instances of each process but `web`, where nobody has said so by command.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u32>,
    /// Runs after the build and its tests, in `root`; what it makes is part of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predeploy: Option<String>,
}

impl AppJson {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The variables that must be there, where these are given.
    pub fn missing<'a>(&'a self, is_given: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a str> {
        self.required.iter().map(String::as_str).filter(move |name| !is_given(name))
    }

    /// The variables that a secret is to be made for, where these are given.
    pub fn without_secret<'a>(&'a self, is_given: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a str> {
        self.secrets.iter().map(String::as_str).filter(move |name| !is_given(name))
    }
}
