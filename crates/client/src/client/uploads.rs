//! Uploads: the manifest first, then the bytes that are missing.

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
}
