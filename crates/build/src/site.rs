//! The site made of a set of files: what is served, under which paths, with which variants.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use skylift_blob::Blobs;
use skylift_model::manifest::{DOCUMENT_BYTES_MAX, LINK_BYTES_MAX};
use skylift_model::site::{Asset, Encoding, Site, SiteSettings, Variant};
use skylift_model::{Digest, FileEntry, FileMode, FilePath, Manifest};

use crate::compress::{self, ENCODINGS};

/// How many files are compressed with one wait for the disk.
const BATCH_FILES: usize = 64;

/// Why files make no site.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    #[error("the output folder `{0}` is empty")]
    Empty(String),
    #[error("there is no output folder `{0}`")]
    NoFolder(String),
    #[error("the symbolic link `{link}` leads to `{target}`, which is not a file of the site")]
    Link { link: FilePath, target: String },
    #[error(transparent)]
    Blob(#[from] skylift_blob::BlobError),
    #[error("blob {0} is named but not stored")]
    Missing(Digest),
    #[error("the platform is shutting down")]
    Interrupted,
    #[error("write the site's table")]
    Table(#[from] serde_json::Error),
}

/// Makes the site of the files below `folder`. Variants that `earlier` has are not made again, unless they are lost.
pub(crate) async fn make(
    blobs: &Blobs,
    manifest: &Manifest,
    folder: &str,
    settings: SiteSettings,
    earlier: Option<&Site>,
) -> Result<Site, SiteError> {
    let links = read_links(blobs, manifest, folder).await?;
    let files = served_files(manifest, folder, &links)?;
    let known = known_variants(blobs, earlier).await?;
    let mut made: HashMap<Digest, Vec<Variant>> = HashMap::new();
    let mut wanted: Vec<(Digest, u64)> = Vec::new();
    for (path, file) in &files {
        if compress::is_worthwhile(path.file_name(), file.size) && !known.contains_key(&file.sha256) {
            wanted.push((file.sha256, file.size));
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    for batch in wanted.chunks(BATCH_FILES) {
        made.extend(compress_batch(blobs, batch).await?);
    }
    let asset = |file: &FileEntry| Asset {
        sha256: file.sha256,
        size: file.size,
        variants: match known.get(&file.sha256) {
            Some(asset) => asset.variants.clone(),
            None => made.get(&file.sha256).cloned().unwrap_or_default(),
        },
        immutable: None,
    };
    Ok(Site {
        files: files.iter().map(|(path, file)| (path.clone(), asset(file))).collect(),
        settings,
        ..Site::default()
    })
}

/// The files of a site with their variants, as far as all of those can be had.
async fn known_variants<'a>(
    blobs: &Blobs,
    earlier: Option<&'a Site>,
) -> Result<HashMap<Digest, &'a Asset>, skylift_blob::BlobError> {
    let assets = || earlier.into_iter().flat_map(|site| site.files.values());
    let variants = assets().flat_map(|asset| &asset.variants).map(|variant| (variant.sha256, variant.size));
    let lost: HashSet<Digest> = blobs.lost_of(variants.collect()).await?.into_iter().collect();
    let is_had = |asset: &&Asset| asset.variants.iter().all(|variant| !lost.contains(&variant.sha256));
    Ok(assets().filter(is_had).map(|asset| (asset.sha256, asset)).collect())
}

/// Stores a site's table; its digest names the artifact.
pub(crate) async fn store(blobs: &Blobs, site: &Site) -> Result<Digest, SiteError> {
    Ok(blobs.put(serde_json::to_vec(site)?).await?)
}

/// Reads a site's table again; `None` where it cannot be had, which only costs compressing again.
pub(crate) async fn load(blobs: &Blobs, artifact: &Digest) -> Option<Site> {
    let bytes = blobs.get(artifact, DOCUMENT_BYTES_MAX).await.ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// The files below `folder` by their path within it, links replaced by what they lead to.
fn served_files<'a>(
    manifest: &'a Manifest,
    folder: &str,
    links: &HashMap<FilePath, String>,
) -> Result<Vec<(FilePath, &'a FileEntry)>, SiteError> {
    let mut served = Vec::new();
    for file in manifest.files() {
        let Some(path) = file.path.below(folder).and_then(|below| below.parse().ok()) else { continue };
        let target = links.get(&file.path).map(|target| follow(manifest, &file.path, target)).transpose()?;
        served.push((path, target.unwrap_or(file)));
    }
    if served.is_empty() {
        let exists = manifest.files().iter().any(|file| file.path.below(folder).is_some());
        let folder = folder.to_owned();
        return Err(if exists { SiteError::Empty(folder) } else { SiteError::NoFolder(folder) });
    }
    Ok(served)
}

/// Reads where the links below `folder` lead. One step only: a link to a link is no file of the site.
async fn read_links(blobs: &Blobs, manifest: &Manifest, folder: &str) -> Result<HashMap<FilePath, String>, SiteError> {
    let mut links = HashMap::new();
    let is_served_link = |file: &&FileEntry| file.mode == FileMode::Symlink && file.path.below(folder).is_some();
    for link in manifest.files().iter().filter(is_served_link) {
        let bytes = blobs.get(&link.sha256, LINK_BYTES_MAX).await?.ok_or(SiteError::Missing(link.sha256))?;
        links.insert(link.path.clone(), String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(links)
}

/// The file that a link leads to.
fn follow<'a>(manifest: &'a Manifest, link: &FilePath, target: &str) -> Result<&'a FileEntry, SiteError> {
    let mut parts: Vec<&str> = link.parts().collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    let found = manifest.get(&parts.join("/")).filter(|file| file.mode != FileMode::Symlink);
    found.ok_or_else(|| SiteError::Link { link: link.clone(), target: target.to_owned() })
}

async fn compress_batch(blobs: &Blobs, batch: &[(Digest, u64)]) -> Result<HashMap<Digest, Vec<Variant>>, SiteError> {
    let mut tasks = Vec::new();
    for (digest, size) in batch.iter().copied() {
        let bytes: Arc<[u8]> = blobs.get(&digest, size).await?.ok_or(SiteError::Missing(digest))?.into();
        for encoding in ENCODINGS {
            let bytes = bytes.clone();
            let task = tokio::task::spawn_blocking(move || compress::variant(&bytes, encoding));
            tasks.push((digest, encoding, task));
        }
    }
    let mut packed: Vec<(Digest, Encoding, u64)> = Vec::new();
    let mut bytes = Vec::new();
    for (digest, encoding, task) in tasks {
        if let Some(variant) = task.await.map_err(|_| SiteError::Interrupted)? {
            packed.push((digest, encoding, variant.len() as u64));
            bytes.push(variant);
        }
    }
    let stored = blobs.put_all(bytes).await?;
    let mut made: HashMap<Digest, Vec<Variant>> = batch.iter().map(|(digest, _)| (*digest, Vec::new())).collect();
    for ((digest, encoding, size), sha256) in packed.into_iter().zip(stored) {
        made.entry(digest).or_default().push(Variant { encoding, sha256, size });
    }
    Ok(made)
}
