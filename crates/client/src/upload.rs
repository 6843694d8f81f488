//! Sends what the server lacks of a folder: several files at once, in bounded memory, resumable.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use skylift_model::{AppName, Digest, FileEntry, FileMode, UploadId};

use crate::folder::Folder;
use crate::request::Content;
use crate::{Client, ClientError};

/// How many files travel at once.
const PARALLEL: usize = 8;
/// Files up to this size are read whole: one read, one packet. With [`PARALLEL`] of them this bounds memory.
const WHOLE_BYTES_MAX: u64 = 256 << 10;
/// Files up to this size travel in bundles: one request and one wait for the server's disk for all of them.
const BUNDLED_BYTES_MAX: u64 = 64 << 10;
/// How large a bundle is.
const BUNDLE_BYTES_MAX: u64 = 4 << 20;
const BUNDLE_FILES_MAX: usize = 1000;
/// How often the server is asked again what is missing, after connections failed.
const ROUNDS: usize = 3;

/// Told how many bytes went out, each time some did.
pub type OnSent = Arc<dyn Fn(u64) + Send + Sync>;

/// Told what an upload is about to send and what it sent.
pub trait UploadProgress: Send + Sync {
    /// So many files and bytes are missing; called again with less where an upload is resumed.
    fn missing(&self, files: u64, bytes: u64);
    /// Some bytes went out.
    fn sent(&self) -> OnSent;
    /// One file arrived.
    fn file_done(&self);
}

/// Sends what this app has not sent before and returns the complete upload.
pub async fn send(
    client: &Client,
    app: &AppName,
    folder: &Folder,
    progress: &dyn UploadProgress,
) -> Result<UploadId, ClientError> {
    let by_digest: HashMap<Digest, &FileEntry> = folder.files().iter().map(|file| (file.sha256, file)).collect();
    let mut round = 1;
    loop {
        let upload = client.create_upload(app, folder.files()).await?;
        let missing = find(client, &by_digest, &upload.missing)?;
        progress.missing(missing.len() as u64, missing.iter().map(|file| file.size).sum());
        let sending = shipments(missing).into_iter().map(|files| ship(client, &upload.id, folder, files, progress));
        match stream::iter(sending).buffer_unordered(PARALLEL).try_collect::<()>().await {
            Ok(()) => return Ok(upload.id),
            Err(error) if error.is_connection() && round < ROUNDS => round += 1,
            Err(error) => return Err(error),
        }
    }
}

fn find<'a>(
    client: &Client,
    by_digest: &HashMap<Digest, &'a FileEntry>,
    missing: &[Digest],
) -> Result<Vec<&'a FileEntry>, ClientError> {
    let find_one = |digest: &Digest| by_digest.get(digest).copied();
    let unknown = || client.protocol("the server misses bytes that it was not told of");
    missing.iter().map(|digest| find_one(digest).ok_or_else(unknown)).collect()
}

/// What travels together: small files in bundles, larger ones alone.
fn shipments(missing: Vec<&FileEntry>) -> Vec<Vec<&FileEntry>> {
    let (small, large): (Vec<_>, Vec<_>) = missing.into_iter().partition(|file| file.size <= BUNDLED_BYTES_MAX);
    let mut shipments: Vec<Vec<&FileEntry>> = large.into_iter().map(|file| vec![file]).collect();
    let (mut bundle, mut bytes) = (Vec::new(), 0);
    for file in small {
        if bytes + file.size > BUNDLE_BYTES_MAX || bundle.len() >= BUNDLE_FILES_MAX {
            shipments.push(std::mem::take(&mut bundle));
            bytes = 0;
        }
        bytes += file.size;
        bundle.push(file);
    }
    if !bundle.is_empty() {
        shipments.push(bundle);
    }
    shipments
}

async fn ship(
    client: &Client,
    upload: &UploadId,
    folder: &Folder,
    files: Vec<&FileEntry>,
    progress: &dyn UploadProgress,
) -> Result<(), ClientError> {
    if let [file] = files.as_slice() {
        return send_one(client, upload, folder, file, progress).await;
    }
    let mut blobs = Vec::with_capacity(files.len());
    for file in &files {
        blobs.push(read_whole(folder, file).await?);
    }
    client.post_blobs(upload, &blobs).await?;
    for blob in &blobs {
        progress.sent()(blob.len() as u64);
        progress.file_done();
    }
    Ok(())
}

async fn send_one(
    client: &Client,
    upload: &UploadId,
    folder: &Folder,
    file: &FileEntry,
    progress: &dyn UploadProgress,
) -> Result<(), ClientError> {
    let path = folder.root().join(file.path.as_str());
    let content = if file.mode == FileMode::Symlink || file.size <= WHOLE_BYTES_MAX {
        Content::Bytes(read_whole(folder, file).await?)
    } else {
        let media_type = "application/octet-stream";
        Content::File { path, size: file.size, media_type, on_sent: progress.sent() }
    };
    if let Content::Bytes(bytes) = &content {
        progress.sent()(bytes.len() as u64);
    }
    client.put_blob(upload, file.sha256, content).await?;
    progress.file_done();
    Ok(())
}

/// Reads a small file or a link's target, and makes sure that it still is what was hashed.
async fn read_whole(folder: &Folder, file: &FileEntry) -> Result<Bytes, ClientError> {
    let (path, mode) = (folder.root().join(file.path.as_str()), file.mode);
    let reading = path.clone();
    let read = move || match mode {
        FileMode::Symlink => std::fs::read_link(reading).map(|target| target.as_os_str().as_bytes().to_vec()),
        FileMode::File | FileMode::Executable => std::fs::read(reading),
    };
    let read = tokio::task::spawn_blocking(read).await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    let bytes = read.map_err(|source| ClientError::ReadFile { path: path.clone(), source })?;
    if Digest::of(&bytes) != file.sha256 {
        return Err(ClientError::FileChanged { path });
    }
    Ok(bytes.into())
}
