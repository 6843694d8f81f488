//! What a part of an address can name, and how to find the right name.

use std::str::FromStr;

use skylift_model::{AppName, DeploymentId, InstanceId, JobId, RunId, TokenId, UploadId, VolumeName};

use crate::error::ApiError;

/// A part of the path as a name or an id; what is none cannot exist.
pub(crate) fn named<T: Named>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(&format!("{} `{}`", T::KIND, text.escape_debug()), T::HINT))
}

/// What a part of a path can name.
pub(crate) trait Named: FromStr {
    const KIND: &str;
    /// How to find the right name.
    const HINT: &str;
}

impl Named for AppName {
    const KIND: &str = "app";
    const HINT: &str = "check the name; `skylift apps` lists what there is";
}

impl Named for DeploymentId {
    const KIND: &str = "deployment";
    const HINT: &str = "deployment ids start with `d-`; `skylift deployments` lists those that are kept";
}

impl Named for InstanceId {
    const KIND: &str = "instance";
    const HINT: &str = "instance ids start with `i-`; `skylift ps APP` lists those that run and the last that ended";
}

impl Named for VolumeName {
    const KIND: &str = "volume or database";
    const HINT: &str = "`skylift db ls --app APP` and `skylift volume ls --app APP` list what there is";
}

impl Named for UploadId {
    const KIND: &str = "upload";
    const HINT: &str = "an upload's id is in the answer to the list of its files";
}

impl Named for JobId {
    const KIND: &str = "job";
    const HINT: &str = "`skylift jobs` lists what there is";
}

impl Named for RunId {
    const KIND: &str = "run";
    const HINT: &str = "ids of runs start with `x-`; `GET /v1/runs` lists those that are kept";
}

impl Named for TokenId {
    const KIND: &str = "key";
    const HINT: &str = "key ids start with `t-`; `skylift keys ls` lists those that work";
}
