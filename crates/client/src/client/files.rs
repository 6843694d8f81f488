//! The files of a deployment: what was sent, and what was made of it.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use skylift_model::wire::FileList;
use skylift_model::{DeploymentId, FileEntry, FilePath};

use crate::request::Call;
use crate::{Client, ClientError};

/// Everything but what RFC 3986 calls unreserved, and the slashes between a path's parts.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Which files of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What was sent: `output/{id}/`.
    Source,
    /// What the build made of it: `build/{id}/`.
    Built,
}

/// The bytes of one file, as they come.
pub struct FileBytes {
    client: Client,
    body: Incoming,
}

impl Client {
    /// The files of a deployment's source or result, sorted by path.
    pub async fn files(&self, id: &DeploymentId, side: Side) -> Result<Vec<FileEntry>, ClientError> {
        self.json::<FileList>(Call::get(folder(id, side))).await.map(|list| list.files)
    }

    /// The bytes of one file of a deployment's source or result.
    pub async fn file(&self, id: &DeploymentId, side: Side, path: &FilePath) -> Result<FileBytes, ClientError> {
        let call = Call::get(format!("{}/{}", folder(id, side), encoded(path.as_str()))).accept("*/*");
        let body = self.send(call).await?.into_body();
        Ok(FileBytes { client: self.clone(), body })
    }
}

impl FileBytes {
    /// The next bytes; `None` at the end of the file.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(bytes) = frame.map_err(|error| self.client.unreachable(error))?.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

fn folder(id: &DeploymentId, side: Side) -> String {
    let side = match side {
        Side::Source => "output",
        Side::Built => "build",
    };
    format!("/v1/deployments/{id}/{side}")
}

/// A path as part of an address.
pub(super) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn names_keep_their_slashes_and_lose_what_means_something_in_an_address() {
        assert_eq!(encoded("a b/ü?#%.html"), "a%20b/%C3%BC%3F%23%25.html");
    }
}
