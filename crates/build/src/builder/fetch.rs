//! Git sources: cloned in a sandbox, out of which only frames come.

use skylift_model::Manifest;
use skylift_store::BuildInput;

use super::outcome::{Stop, failure};
use super::{Build, Builder};

impl Builder {
    /// What of a Git source's secret must not be seen in the log.
    pub(super) fn git_secrets(&self, _input: &BuildInput) -> Result<Vec<String>, Stop> {
        Ok(Vec::new())
    }
}

impl Build<'_> {
    pub(super) async fn clone_git(&self, _url: &str, _branch: Option<&str>) -> Result<Manifest, Stop> {
        Err(Stop::Failed(failure("fetch", "pending")))
    }
}
