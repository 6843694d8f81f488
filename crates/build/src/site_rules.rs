//! The redirects and header fields that a site brings in its own files.

use skylift_blob::{BlobError, Blobs};
use skylift_model::site::{Compat, Site};
use skylift_model::{Digest, Manifest};
use skylift_rules::limits::FILE_BYTES_MAX;
use skylift_rules::{Dialect, Reading, Sources};

use crate::builder::joined;

/// Reads them: the first two from what is served, the others from there or from the project's root in the source.
pub(crate) async fn read(blobs: &Blobs, site: &Site, source: &Manifest, root: &str) -> Result<Reading, BlobError> {
    let served = |name: &str| Some(site.files.get(&name.parse().ok()?)?.sha256);
    let in_project = |name: &str| source.get(&joined(root, name)).map(|file| file.sha256);
    let redirects = bytes(blobs, served("_redirects")).await?;
    let headers = bytes(blobs, served("_headers")).await?;
    let netlify_toml = netlify_toml(blobs, site, source, root).await?;
    let vercel_json = bytes(blobs, served("vercel.json").or_else(|| in_project("vercel.json"))).await?;
    let dialect = match site.settings.compat {
        Compat::Cloudflare => Dialect::Cloudflare,
        _ => Dialect::Netlify,
    };
    // On a thread of its own: megabytes of rules take a while, and other builds are to go on.
    let reading = tokio::task::spawn_blocking(move || {
        skylift_rules::read(&Sources {
            dialect,
            redirects: redirects.as_deref(),
            headers: headers.as_deref(),
            netlify_toml: netlify_toml.as_deref(),
            vercel_json: vercel_json.as_deref(),
        })
    });
    Ok(reading.await.unwrap_or_else(|stopped| std::panic::resume_unwind(stopped.into_panic())))
}

/// The bytes of the `netlify.toml` that counts.
pub(crate) async fn netlify_toml(
    blobs: &Blobs,
    site: &Site,
    source: &Manifest,
    root: &str,
) -> Result<Option<Vec<u8>>, BlobError> {
    let served = "netlify.toml".parse().ok().and_then(|name| site.files.get(&name)).map(|asset| asset.sha256);
    let in_project = || source.get(&joined(root, "netlify.toml")).map(|file| file.sha256);
    bytes(blobs, served.or_else(in_project)).await
}

/// The bytes of such a file. One that is too long is told as such by whoever reads it: a byte more is enough for that.
async fn bytes(blobs: &Blobs, digest: Option<Digest>) -> Result<Option<Vec<u8>>, BlobError> {
    let Some(digest) = digest else { return Ok(None) };
    match blobs.get(&digest, FILE_BYTES_MAX as u64).await {
        Err(BlobError::TooLarge { .. }) => Ok(Some(vec![b' '; FILE_BYTES_MAX + 1])),
        found => found,
    }
}
