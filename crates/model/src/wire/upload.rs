use serde::{Deserialize, Serialize};

use crate::{Digest, FileEntry, UploadId};

/// `POST /v1/apps/{app}/uploads`: every file of the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateUpload {
    /// Every file of the source.
    pub files: Vec<FileEntry>,
}

/// An upload that waits for the bytes in `missing`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Upload {
    /// The upload's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: UploadId,
    /// What this app has not sent before: send each with `PUT /v1/uploads/{id}/blobs/{sha256}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub missing: Vec<Digest>,
}
