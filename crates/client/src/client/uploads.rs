//! Uploads: the manifest first, then the bytes that are missing.

use bytes::Bytes;
use http::Method;
use skylift_model::wire::{CreateUpload, Upload};
use skylift_model::{AppName, Digest, FileEntry, UploadId};

use crate::request::{Call, Content};
use crate::{Client, ClientError};

impl Client {
    /// Announces every file of a source; the answer names the bytes that this app has not sent before.
    pub async fn create_upload(&self, app: &AppName, files: &[FileEntry]) -> Result<Upload, ClientError> {
        let body = CreateUpload { files: files.to_vec() };
        self.json(Call::post(format!("/v1/apps/{app}/uploads")).json(&body)).await
    }

    /// Sends the bytes of one digest.
    pub(crate) async fn put_blob(
        &self,
        upload: &UploadId,
        sha256: Digest,
        content: Content,
    ) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, format!("/v1/uploads/{upload}/blobs/{sha256}"));
        self.done(call.content(content)).await
    }

    /// Sends several small blobs as one body.
    pub(crate) async fn post_blobs(&self, upload: &UploadId, blobs: &[Bytes]) -> Result<(), ClientError> {
        let mut body = Vec::with_capacity(blobs.iter().map(|blob| blob.len() + 4).sum());
        for blob in blobs {
            let length = u32::try_from(blob.len()).map_err(|_| self.protocol("a small file is not small"))?;
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(blob);
        }
        let call = Call::new(Method::POST, format!("/v1/uploads/{upload}/blobs"));
        self.done(call.content(Content::Bytes(body.into()))).await
    }
}
