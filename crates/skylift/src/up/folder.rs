//! The data folder: private, and held by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::fs::FlockOperation;
use skylift_durable as durable;

use crate::cli::BadFolder;

/// How often it is looked whether another process has let go of a folder.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A data folder that is ours until this is dropped.
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder where it does not exist, and holds it. Refuses one that another process holds.
    pub(crate) fn claim(path: PathBuf) -> anyhow::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.with_context(|| BadFolder(format!("create the data folder {}", path.display())))?;
        let path = path.canonicalize().context("find the data folder")?;
        let mode = fs::metadata(&path).context("look at the data folder")?.permissions().mode();
        if mode & 0o077 != 0 {
            let closed = fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
            closed.with_context(|| format!("close {} to other users", path.display()))?;
        }
        let lock = hold(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The same, once another process has let go of it.
    #[expect(clippy::disallowed_methods, reason = "the kernel tells nobody, within a time, that a lock is free")]
    pub(crate) fn claim_within(path: PathBuf, within: Duration) -> anyhow::Result<Self> {
        let began = Instant::now();
        loop {
            match Self::claim(path.clone()) {
                Err(error) if is_held(&error) && began.elapsed() < within => std::thread::sleep(LOOK_EVERY),
                claimed => return claimed,
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder within, made where it does not exist.
    pub(crate) fn sub(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        durable::create_folders(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(path)
    }

    /// Tells the command line where we answer.
    pub(crate) fn write_listen(&self, url: &str) -> anyhow::Result<()> {
        self.write_private(crate::data_dir::LISTEN_FILE, url.as_bytes())
    }

    /// Writes a file that only the owner may read, whole or not at all.
    pub(crate) fn write_private(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, partial) = (self.path.join(name), self.path.join(format!("{name}.partial")));
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = durable::create(&options, &partial)?;
            durable::write_all(&mut file, bytes)?;
            durable::sync_file(&file)?;
            durable::rename(&partial, &path)?;
            durable::sync_folder(&self.path)
        };
        write().with_context(|| format!("write {}", path.display()))
    }

    /// Removes a file written by [`Self::write_private`].
    pub(crate) fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
    }

    /// A file written by [`Self::write_private`], where there is one.
    pub(crate) fn read_private(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
}

fn is_held(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy)
}

fn hold(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.with_context(|| BadFolder(format!("open {}", path.display())))?;
    // A lock of this process alone. One by `flock` would be shared with every child between its fork and its exec, and
    // outlive us with a child that is caught there when we are killed: the next start would be refused.
    if rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let message = format!(
            "the data folder {} is in use by process {} (several processes need shared stores, not one folder)",
            folder.display(),
            holder.trim()
        );
        return Err(std::io::Error::new(std::io::ErrorKind::ResourceBusy, message).into());
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write().with_context(|| format!("write {}", path.display()))?;
    Ok(file)
}
