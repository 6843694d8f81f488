//! A source whose bytes are damaged or gone. Trying again does not bring them back, sending them again does: so all of them are
//! looked for at once, which makes the next upload ask for each, and the deployment fails with that advice.

use skylift_blob::{BlobError, Blobs};
use skylift_model::Manifest;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::wire::Failure;

use super::Build;
use super::outcome::{Stop, failure};
use crate::checkout::CheckoutError;
use crate::site::SiteError;

const HINT: &str = "deploy the same files again: what is lost is then asked for and stored anew";

impl Build<'_> {
    /// Turns a fault that comes from a lost blob into a failure that says which files are lost.
    pub(super) async fn naming_what_is_lost(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Fault(error) if error.chain().any(is_lost) => match self.source_lost().await {
                Some(message) => {
                    tracing::error!(deployment.id = %self.input.deployment.id, message, "a source cannot be read");
                    Stop::Failed(Failure { hint: Some(HINT.to_owned()), ..failure("source", &message) })
                }
                None => Stop::Fault(error),
            },
            other => other,
        }
    }

    /// What of the source cannot be read. A Git source is cloned again.
    async fn source_lost(&self) -> Option<String> {
        let digest = self.input.manifest?;
        let blobs = self.builder.blobs.clone();
        let list = match blobs.get(&digest, DOCUMENT_BYTES_MAX).await {
            Ok(Some(bytes)) => serde_json::from_slice::<Manifest>(&bytes).ok()?,
            Ok(None) | Err(BlobError::Corrupt(_)) => {
                return Some("the list of the source's files is damaged or missing".to_owned());
            }
            Err(_) => return None,
        };
        let lost = tokio::task::spawn_blocking(move || lost_files(&blobs, &list)).await.ok()?;
        let first = lost.first()?;
        Some(match lost.len() {
            1 => format!("`{first}` of the source is damaged or missing in the platform's store"),
            more => format!(
                "{more} files of the source are damaged or missing in the platform's store, the first is `{first}`"
            ),
        })
    }
}

/// The files that cannot be read; reading each is what notes it as lost.
fn lost_files(blobs: &Blobs, list: &Manifest) -> Vec<String> {
    let is_lost = |digest| matches!(blobs.read_file(digest), Ok(None) | Err(BlobError::Corrupt(_)));
    list.files().iter().filter(|file| is_lost(&file.sha256)).map(|file| file.path.to_string()).collect()
}

fn is_lost(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_blob = |error: &BlobError| matches!(error, BlobError::Corrupt(_) | BlobError::Missing(_));
    let of_site = |error: &SiteError| match error {
        SiteError::Missing(_) => true,
        SiteError::Blob(error) => of_blob(error),
        _ => false,
    };
    let of_checkout = |error: &CheckoutError| match error {
        CheckoutError::Missing(_) => true,
        CheckoutError::Blob(error) => of_blob(error),
        _ => false,
    };
    // What is found missing without a blob's own error is told as text.
    cause.downcast_ref().is_some_and(of_blob)
        || cause.downcast_ref().is_some_and(of_site)
        || cause.downcast_ref().is_some_and(of_checkout)
        || matches!(cause.to_string().as_str(), "the source's list is gone" | "it is not stored")
}
