//! Each upload is a commit in the app's bare Git repository, so that `git log` and `git diff` tell what was deployed.
//!
//! The repository is a cache: its commits follow from the uploads in order, with the upload's time as their date, so
//! that making one twice makes the same one. It is written by `git fast-import`, which hashes what we hand it and
//! runs nothing of it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use skylift_blob::{BlobError, Blobs};
use skylift_durable::{self as durable, OfDisk};
use skylift_model::git::ISOLATION;
use skylift_model::manifest::DOCUMENT_BYTES_MAX;
use skylift_model::{AppName, Digest, FileEntry, Manifest, Timestamp, UploadId, chain};
use skylift_store::{JobKind, Lease, StoreError};
use tokio::sync::watch;

use crate::packs;
use crate::worker::Queue;

pub(crate) const BRANCH: &str = "refs/heads/main";

/// What the committer works on.
#[derive(Clone)]
pub struct Committer {
    pub queue: Queue,
    pub blobs: Blobs,
    /// The folder with one bare repository for each app.
    pub repositories: PathBuf,
}

impl Committer {
    /// Does commit jobs until told to stop.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        self.queue.run(JobKind::Commit, stop, |lease| self.do_job(lease)).await;
    }

    async fn do_job(&self, lease: Lease) {
        let Queue { store, bus: _, clock } = &self.queue;
        let done = match lease.subject.parse() {
            Ok(app) => self.commit_uploads(&app).await,
            Err(_) => Ok(()),
        };
        let done = match done {
            Ok(()) => store.complete(lease.clone()).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        let ended = match done {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::error!(app = lease.subject, error = format!("{error:#}"), "cannot commit uploads to Git");
                let text = format!("{error:#}");
                match is_away(&error) {
                    true => store.postpone(lease, text, clock.now()).await,
                    false => store.retry(lease, text, clock.now()).await.map(|_| ()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::warn!(error = %chain(&error), "cannot end a commit job");
        }
    }

    async fn commit_uploads(&self, app: &AppName) -> anyhow::Result<()> {
        for (upload, digest, at) in self.queue.store.uncommitted_uploads(app.clone()).await? {
            let manifest = self.manifest(&digest).await?;
            let parent = match self.queue.store.last_git_commit(app.clone()).await? {
                Some((hash, digest)) => Some(Parent { hash, manifest: self.manifest(&digest).await? }),
                None => None,
            };
            let (blobs, repository) = (self.blobs.clone(), self.repositories.join(format!("{app}.git")));
            // Where others commit too, this folder may lack what they made, and they get what is made here.
            let is_shared = self.queue.store.is_shared();
            let packs = if is_shared { self.queue.store.git_packs(app.clone()).await? } else { Vec::new() };
            let id = upload.clone();
            let commit = tokio::task::spawn_blocking(move || {
                if let Some(Parent { hash, .. }) = &parent
                    && !has_commit(&repository, hash)
                    && !packs.is_empty()
                {
                    packs::unpack(&repository, &packs, Some(hash), &blobs)?;
                }
                let parent = parent.as_ref().filter(|parent| has_commit(&repository, &parent.hash));
                let hash = Commit { upload: &id, at, manifest: &manifest, parent }.write(&repository, &blobs)?;
                let pack = if is_shared { Some(packs::pack(&repository, parent.map(|it| &*it.hash))?) } else { None };
                anyhow::Ok((hash, pack))
            });
            let (hash, pack) = commit.await.context("the committer was stopped")??;
            let pack = match pack {
                Some(file) => Some(packs::store(file, &self.blobs).await?),
                None => None,
            };
            self.queue.store.set_git_commit(upload, hash, pack).await?;
        }
        Ok(())
    }

    async fn manifest(&self, digest: &Digest) -> anyhow::Result<Manifest> {
        let bytes = self.blobs.get(digest, DOCUMENT_BYTES_MAX).await?.context("an upload's manifest is gone")?;
        serde_json::from_slice(&bytes).context("read an upload's manifest")
    }
}

/// Whether what failed is not the attempt but what it needs, for now: the object store, the rows, or the disk that is full or fails.
fn is_away(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(BlobError::is_unavailable)
            || cause.downcast_ref::<io::Error>().is_some_and(|error| error.of_disk().is_some())
            || cause.downcast_ref().is_some_and(StoreError::is_away)
    })
}

/// What a commit follows. A repository that was lost has none of it and starts anew.
struct Parent {
    hash: String,
    manifest: Manifest,
}

struct Commit<'a> {
    upload: &'a UploadId,
    at: Timestamp,
    manifest: &'a Manifest,
    parent: Option<&'a Parent>,
}

impl Commit<'_> {
    fn write(&self, repository: &Path, blobs: &Blobs) -> anyhow::Result<String> {
        prepare(repository)?;
        let mut import = git(repository)
            .args(["fast-import", "--quiet", "--force", "--done", "--date-format=raw"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("start git fast-import")?;
        let streamed = match import.stdin.take() {
            Some(stdin) => self.stream(&mut io::BufWriter::with_capacity(1 << 16, stdin), blobs),
            None => bail!("git fast-import has no standard input"),
        };
        let output = import.wait_with_output().context("wait for git fast-import")?;
        if !output.status.success() {
            bail!("git fast-import failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        streamed?;
        let hash = git(repository).args(["rev-parse", "--verify", BRANCH]).output().context("run git rev-parse")?;
        Ok(String::from_utf8_lossy(&hash.stdout).trim().to_owned())
    }

    /// The commit in the format of git-fast-import(1).
    fn stream(&self, out: &mut impl Write, blobs: &Blobs) -> anyhow::Result<()> {
        let message = format!("Upload {}\n", self.upload);
        let seconds = self.at.as_millis().div_euclid(1000);
        writeln!(out, "commit {BRANCH}\ncommitter Skylift <skylift@localhost> {seconds} +0000")?;
        writeln!(out, "data {}\n{message}", message.len())?;
        match self.parent {
            Some(parent) => {
                writeln!(out, "from {}", parent.hash)?;
                for gone in
                    parent.manifest.files().iter().filter(|file| self.manifest.get(file.path.as_str()).is_none())
                {
                    writeln!(out, "D {}", quoted(gone.path.as_str()))?;
                }
            }
            None => writeln!(out, "deleteall")?,
        }
        let same = |file: &&FileEntry| self.parent.is_some_and(|p| p.manifest.get(file.path.as_str()) == Some(*file));
        for file in self.manifest.files().iter().filter(|file| !same(file)) {
            writeln!(out, "M {} inline {}", file.mode.as_str(), quoted(file.path.as_str()))?;
            write_blob(out, blobs, &file.sha256)?;
        }
        // Without this word, which is missing when we were killed, nothing is committed.
        writeln!(out, "done")?;
        out.flush()?;
        Ok(())
    }
}

fn write_blob(out: &mut impl Write, blobs: &Blobs, digest: &Digest) -> anyhow::Result<()> {
    let stored = blobs.read_file(digest)?.with_context(|| format!("blob {digest} is named but not stored"))?;
    writeln!(out, "data {}", stored.size)?;
    let mut file = io::Read::take(stored.file, stored.size);
    io::copy(&mut file, out)?;
    writeln!(out)?;
    Ok(())
}

pub(crate) fn has_commit(repository: &Path, hash: &str) -> bool {
    let object = format!("{hash}^{{commit}}");
    repository.join("HEAD").exists()
        && git(repository).args(["cat-file", "-e", &object]).output().is_ok_and(|output| output.status.success())
}

/// A path as git-fast-import(1) quotes it.
fn quoted(path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Makes the repository where there is none, and one that Git was killed in fit for use again.
pub(crate) fn prepare(repository: &Path) -> anyhow::Result<()> {
    remove_locks(repository)?;
    if repository.join("HEAD").exists() {
        return Ok(());
    }
    // Made elsewhere and moved into place, so that there is a whole one or none.
    let partial = repository.with_extension("partial");
    for folder in [&*partial, repository] {
        remove_folder(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    durable::create_folders(&partial).with_context(|| format!("create {}", partial.display()))?;
    let made = git(&partial).args(["init", "--quiet", "--bare", "--initial-branch=main", "--template="]).output();
    let made = made.context("run git init; is git installed?")?;
    if !made.status.success() {
        bail!("git init failed: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    let name = || {
        // Git syncs nothing of a new repository, and one without its settings would never be mended.
        durable::sync_file_system(&File::open(&partial)?)?;
        durable::rename(&partial, repository)?;
        repository.parent().map_or(Ok(()), durable::sync_folder)
    };
    name().with_context(|| format!("name {}", repository.display()))
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Locks that Git holds while it writes. Which of them a run takes depends on its version.
const LOCKS: &[&str] = &["HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock"];

/// Removes the locks of a run that was killed, which would keep out every later one. None is held by a run that lives: one
/// platform works in a data folder, on one commit after the other, and its runs of Git end with it.
fn remove_locks(repository: &Path) -> anyhow::Result<()> {
    for lock in LOCKS {
        let path = repository.join(lock);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}, which a killed Git left", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Git on one repository, without the machine's or a user's configuration and hooks. It ends with the platform: a later one
/// must not meet it at work in the same repository.
pub(crate) fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("--git-dir")
        .arg(repository)
        .args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "safe.directory=*"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs(ISOLATION.iter().copied());
    skylift_sandbox::tie(&mut command);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_for_now_is_no_fault_of_the_attempt() {
        let met = |errno| {
            let failed: anyhow::Result<()> = Err(io::Error::from_raw_os_error(errno)).context("create a repository");
            is_away(&failed.unwrap_err())
        };
        let [missing, fails, full] = [2, 5, 28];
        assert!(met(fails) && met(full));
        assert!(is_away(&StoreError::OutOfSpace.into()));
        assert!(!met(missing) && !is_away(&anyhow::anyhow!("git fast-import failed")), "control");
    }
}
