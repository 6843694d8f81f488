//! Git objects as blobs: how a repository gets from one data folder into another.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Child, Output, Stdio};

use anyhow::{Context, bail};
use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;

use crate::commit::{BRANCH, git, has_commit, prepare};

/// The objects of the newest commit that `parent` does not have; without one, of all commits. A file without a name.
/// Blocking.
pub fn pack(repository: &Path, parent: Option<&str>) -> anyhow::Result<File> {
    let mut wanted = format!("{BRANCH}\n");
    if let Some(parent) = parent {
        wanted.push_str(&format!("^{parent}\n"));
    }
    let path = repository.join("outgoing.partial");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    let mut file = file.with_context(|| format!("open {}", path.display()))?;
    std::fs::remove_file(&path).with_context(|| format!("remove the name of {}", path.display()))?;
    let mut packing = git(repository)
        .args(["pack-objects", "--revs", "--stdout", "-q"])
        .stdin(Stdio::piped())
        .stdout(file.try_clone().context("share a file")?)
        .stderr(Stdio::piped())
        .spawn()
        .context("start git pack-objects")?;
    if let Some(mut stdin) = packing.stdin.take() {
        stdin.write_all(wanted.as_bytes()).context("tell git pack-objects what to pack")?;
    }
    ended(packing, "pack-objects")?;
    file.rewind().context("read a pack")?;
    Ok(file)
}

/// Stores a pack; durable when this returns.
pub async fn store(file: File, blobs: &Blobs) -> Result<Digest, BlobError> {
    let mut writer = blobs.writer().await?;
    writer.copy(file).await?;
    writer.finish(None).await
}

/// Puts the objects of all packs, oldest first, into a repository, which is made where it does not exist, and its branch to
/// `tip`, where that is among them. May be repeated. Blocking.
pub fn unpack(repository: &Path, packs: &[Digest], tip: Option<&str>, blobs: &Blobs) -> anyhow::Result<()> {
    prepare(repository)?;
    for digest in packs {
        let stored = blobs.read_file(digest)?.with_context(|| format!("blob {digest} is named but not stored"))?;
        let taking = git(repository)
            .args(["index-pack", "--stdin", "--fix-thin"])
            .stdin(stored.file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start git index-pack")?;
        ended(taking, "index-pack")?;
    }
    if let Some(tip) = tip.filter(|tip| has_commit(repository, tip)) {
        let moved = git(repository).args(["update-ref", BRANCH, tip]).output().context("run git update-ref")?;
        check(&moved, "update-ref")?;
    }
    Ok(())
}

fn ended(child: Child, what: &str) -> anyhow::Result<()> {
    let output = child.wait_with_output().with_context(|| format!("wait for git {what}"))?;
    check(&output, what)
}

fn check(output: &Output, what: &str) -> anyhow::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    bail!("git {what} failed: {}", String::from_utf8_lossy(&output.stderr).trim())
}
