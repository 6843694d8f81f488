//! How projects of one language are installed, built and started, before `skylift.toml` and the Procfile are asked.

use super::framework::Sourced;

/// What is known of a project by its language.
#[derive(Default)]
pub(crate) struct Recipe {
    pub(crate) install: Option<Sourced<String>>,
    pub(crate) build: Option<Sourced<String>>,
    pub(crate) start: Option<Start>,
    /// What was found and does not count, and where.
    pub(crate) warnings: Vec<(String, String)>,
    /// What makes the install depend on more than lists of packages.
    pub(crate) reads_source: Option<String>,
}

/// The command that answers requests.
pub(crate) enum Start {
    Known {
        command: Sourced<String>,
        /// What its owner should know about it.
        warning: Option<String>,
    },
    /// It would be a guess.
    Unknown { why: String },
}

impl Start {
    pub(crate) fn known(command: impl Into<String>, from: impl Into<String>) -> Self {
        Self::Known { command: Sourced::new(command.into(), from), warning: None }
    }

    pub(crate) fn warned(command: impl Into<String>, from: impl Into<String>, warning: &str) -> Self {
        Self::Known { command: Sourced::new(command.into(), from), warning: Some(warning.to_owned()) }
    }

    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }
}
