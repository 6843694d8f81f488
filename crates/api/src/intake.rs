//! How code gets in: what the API asks of the part that handles users' bytes.

use std::io;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use skylift_model::{Digest, Manifest};

use crate::error::ApiError;

/// Takes in code that did not come file by file.
pub trait Intake: Send + Sync {
    /// Unpacks an archive, inside a sandbox, and stores its files. Nothing is stored of one that is refused.
    fn archive<'a>(&'a self, pieces: BoxStream<'static, io::Result<Bytes>>) -> BoxFuture<'a, Result<Taken, ApiError>>;

    /// Checks a Git address and a branch before anything runs; returns the address as it may be shown.
    fn git(&self, url: &str, branch: Option<&str>) -> Result<String, ApiError>;
}

/// An archive whose files are stored.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it held.
    pub manifest: Manifest,
    /// The blob with that list.
    pub digest: Digest,
}
