//! The bytes: every blob, compared by its digest, and the names of those that have any.

use std::collections::HashMap;

use anyhow::{Context, bail};
use skylift_blob::Blobs;
use skylift_model::Digest;
use skylift_store::Store;
use tokio::task::JoinSet;

/// How many blobs are on their way at once.
const AT_ONCE: usize = 8;
/// Blobs up to this size go through memory.
const SMALL_BYTES_MAX: u64 = 4 << 20;

/// Copies what is not there yet; afterwards everything is. Returns how many blobs there are, and their bytes.
pub(super) async fn copy_all(from: &Blobs, to: &Blobs) -> anyhow::Result<(u64, u64)> {
    let all = from.list().await.context("list the files")?;
    let there: HashMap<Digest, u64> = to.list().await.context("list the files that are there")?.into_iter().collect();
    let mut waiting = all.iter().filter(|(digest, size)| there.get(digest) != Some(size));
    let mut copies = JoinSet::new();
    loop {
        while copies.len() < AT_ONCE
            && let Some((digest, size)) = waiting.next()
        {
            let (from, to, digest, size) = (from.clone(), to.clone(), *digest, *size);
            copies.spawn(async move {
                copy(&from, &to, digest, size).await.with_context(|| format!("copy the blob {digest}"))
            });
        }
        match copies.join_next().await {
            Some(copied) => copied.context("the process is stopping")??,
            None => break,
        }
    }
    let there: HashMap<Digest, u64> = to.list().await.context("list what was copied")?.into_iter().collect();
    if let Some((digest, _)) = all.iter().find(|(digest, size)| there.get(digest) != Some(size)) {
        bail!("the blob {digest} was copied, and is not there");
    }
    Ok((all.len() as u64, all.iter().map(|(_, size)| size).sum()))
}

/// What is read was checked against its digest, and what is written is named by its own.
async fn copy(from: &Blobs, to: &Blobs, digest: Digest, size: u64) -> anyhow::Result<()> {
    if size <= SMALL_BYTES_MAX {
        let bytes = from.get(&digest, SMALL_BYTES_MAX).await?.context("it is listed, and is not there")?;
        to.put(bytes).await?;
        return Ok(());
    }
    let file = from.open_file(&digest).await?.context("it is listed, and is not there")?.file;
    let mut writer = to.writer().await?;
    writer.copy(file).await?;
    writer.finish(Some(digest)).await?;
    Ok(())
}

/// Copies the objects that have names of their own: the lists of files of each deployment.
pub(super) async fn copy_named(rows: &Store, from: &Blobs, to: &Blobs) -> anyhow::Result<()> {
    for deployment in rows.deployments(None, u32::MAX).await? {
        for folder in ["output", "build"] {
            let key = format!("{folder}/{}/manifest.json", deployment.id);
            if let Some(bytes) = from.get_object(key.parse()?).await? {
                to.put_object(key.parse()?, bytes).await?;
            }
        }
    }
    Ok(())
}
