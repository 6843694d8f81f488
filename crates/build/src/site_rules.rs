//! The redirects and header fields that a site brings in its own files.

use skylift_blob::{BlobError, Blobs};
use skylift_model::site::{Compat, Site};
use skylift_model::{Digest, Manifest};
use skylift_rules::limits::FILE_BYTES_MAX;
use skylift_rules::{Dialect, Reading, Sources};

/// Reads them: the first two from what is served, the others from there or from the project's root in the source.
pub(crate) async fn read(blobs: &Blobs, site: &Site, source: &Manifest, root: &str) -> Result<Reading, BlobError> {
    let served = |name: &str| Some(site.files.get(&name.parse().ok()?)?.sha256);
    let in_project = |name: &str| {
        let path = if root.is_empty() { name.to_owned() } else { format!("{root}/{name}") };
        source.get(&path).map(|file| file.sha256)
    };
    let redirects = bytes(blobs, served("_redirects")).await?;
    let headers = bytes(blobs, served("_headers")).await?;
    let netlify_toml = bytes(blobs, served("netlify.toml").or_else(|| in_project("netlify.toml"))).await?;
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

/// The bytes of such a file. One that is too long is told as such by whoever reads it: a byte more is enough for that.
async fn bytes(blobs: &Blobs, digest: Option<Digest>) -> Result<Option<Vec<u8>>, BlobError> {
    let Some(digest) = digest else { return Ok(None) };
    match blobs.get(&digest, FILE_BYTES_MAX as u64).await {
        Err(BlobError::TooLarge { .. }) => Ok(Some(vec![b' '; FILE_BYTES_MAX + 1])),
        found => found,
    }
}
