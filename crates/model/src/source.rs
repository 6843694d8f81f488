//! Where a deployment's code came from.

use serde::{Deserialize, Serialize};

/// Where a deployment's code came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// Files sent one by one: a folder.
    Folder,
    /// An archive sent as one body.
    Archive,
    /// A Git repository.
    Git {
        /// The repository's address, without any secret.
        url: String,
        /// The branch or tag asked for; the remote's default where none was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        /// The commit that was fetched, once it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<Commit>,
    },
}

impl Source {
    /// The hash of the commit that was fetched, once it was.
    pub fn commit(&self) -> Option<&str> {
        match self {
            Self::Git { commit: Some(commit), .. } => Some(&commit.hash),
            Self::Git { commit: None, .. } | Self::Folder | Self::Archive => None,
        }
    }
}

/// A commit of the source's own repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Commit {
    /// The full hash.
    pub hash: String,
    /// `Name <address>`.
    pub author: String,
    /// The whole message.
    pub message: String,
}
