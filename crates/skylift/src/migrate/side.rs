//! Where a platform is moved from, or to.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use skylift_blob::Blobs;
use skylift_store::{Store, StoreError};

use crate::config::Config;
use crate::up::folder::DataFolder;
use crate::up::secrets::{self, MASTER_KEY_FILE};

/// A name on the command line, looked at but not opened.
pub(super) struct Place {
    path: PathBuf,
    config: Config,
    /// Held from here on: no platform starts on it.
    folder: Option<DataFolder>,
}

/// An end of the move. Nobody else uses it.
pub(super) struct Side {
    pub(super) store: Store,
    pub(super) blobs: Blobs,
    pub(super) folder: Option<DataFolder>,
    /// The master key, where it is known here.
    pub(super) key: Option<Vec<u8>>,
}

impl Place {
    /// A folder is a data folder, with its settings where it has any; a file is settings that name stores.
    pub(super) fn source(path: &Path) -> anyhow::Result<Self> {
        let place = Self::look(path, path.is_dir())?;
        let has_rows = place.config.store.url().is_some() || path.join("skylift.db").exists();
        if has_rows { Ok(place) } else { bail!("there is no platform in {}", path.display()) }
    }

    /// The same for what may not exist yet: whatever is no file is a folder.
    pub(super) fn destination(path: &Path) -> anyhow::Result<Self> {
        Self::look(path, !path.is_file())
    }

    fn look(path: &Path, is_folder: bool) -> anyhow::Result<Self> {
        let path = path.to_owned();
        if is_folder {
            let folder = DataFolder::claim(path.clone())?;
            return Ok(Self { config: Config::load(None, &path)?, folder: Some(folder), path });
        }
        let config = Config::load(Some(&path), &path)?;
        if config.store.url().is_none() || config.blob.s3.is_none() {
            bail!(
                "{} does not name [store] url and [blob.s3]; of a platform in a data folder, name the folder",
                path.display()
            );
        }
        Ok(Self { path, config, folder: None })
    }

    /// A folder for copies on the way, if there is one on this side.
    pub(super) fn work_folder(&self) -> Option<anyhow::Result<PathBuf>> {
        self.folder.as_ref().map(|folder| folder.sub("migration"))
    }

    /// Opens it. `cache`: where copies of an object store's files may lie meanwhile.
    pub(super) async fn open(self, cache: &Path) -> anyhow::Result<Side> {
        let Self { path, config, folder } = self;
        let shown = path.display();
        let within = |name: &str| folder.as_ref().map_or_else(|| path.join(name), |folder| folder.path().join(name));
        let store = match config.store.url() {
            None => Store::open(&within("skylift.db")),
            Some(url) => match Store::connect_alone(url).await {
                Err(StoreError::InUse) => bail!("a process still serves from {shown}; stop all of them first"),
                opened => opened,
            },
        };
        let store = store.with_context(|| format!("open the database of {shown}"))?;
        let blobs = match config.blob.s3 {
            None => Blobs::open(&within("blobs")),
            Some(mut s3) => {
                s3.cache_bytes = s3.cache_bytes.min(CACHE_BYTES);
                Blobs::open_s3(s3, cache).await
            }
        };
        let blobs = blobs.with_context(|| format!("open the files of {shown}"))?;
        let key = match (&config.master_key_file, &folder) {
            (Some(file), _) => Some(std::fs::read(file).with_context(|| format!("read {}", file.display()))?),
            (None, Some(folder)) => folder.read_private(MASTER_KEY_FILE)?,
            (None, None) => None,
        };
        let key = key.map(|text| secrets::from_hex(&text).context("the master key is damaged")).transpose()?;
        Ok(Side { store, blobs, folder, key })
    }
}

/// How much of an object store is kept here while it is moved.
const CACHE_BYTES: u64 = 256 << 20;
