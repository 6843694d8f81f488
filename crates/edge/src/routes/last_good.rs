//! The last good routes, on the edge's own disk.
//!
//! ```text
//! skylift-routes 1 <SHA-256 of what follows>
//! [{"app":…,"generation":…,"live":…,"deployments":[…]},…]
//! ```
//!
//! Written whole and renamed into place, so that a reader finds the old or the new. A file that is damaged in any
//! way is as good as none.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use skylift_durable::{self as durable, Defence, left_out};
use skylift_model::Digest;
use skylift_model::route::AppRoutes;

/// What the first line starts with: the kind of file and its version.
const MAGIC: &str = "skylift-routes 1 ";
/// More than this is not ours.
const BYTES_MAX: u64 = 1 << 30;

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct LastGood(pub(crate) PathBuf);

/// Why the last good routes cannot be used or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LastGoodError {
    #[error("read {0}")]
    Read(PathBuf, #[source] io::Error),
    #[error("{0} is not a file of routes, or is damaged")]
    Damaged(PathBuf),
    #[error("write {0}")]
    Write(PathBuf, #[source] io::Error),
}

impl LastGood {
    /// The routes in the file; none where there is no file. Blocking.
    pub(crate) fn read(&self) -> Result<Vec<AppRoutes>, LastGoodError> {
        let mut text = String::new();
        match File::open(&self.0).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text)) {
            Ok(_) => parse(&text).ok_or_else(|| LastGoodError::Damaged(self.0.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(LastGoodError::Damaged(self.0.clone())),
            Err(error) => Err(LastGoodError::Read(self.0.clone(), error)),
        }
    }

    /// Replaces the file; durable when this returns. Blocking.
    pub(crate) fn write(&self, routes: &[&AppRoutes]) -> Result<(), LastGoodError> {
        if left_out(Defence::LastGood) {
            return Ok(());
        }
        let text = serde_json::to_string(routes).map_err(io::Error::from).map(|json| render(&json));
        text.and_then(|text| replace(&self.0, text.as_bytes()))
            .map_err(|error| LastGoodError::Write(self.0.clone(), error))
    }
}

fn render(json: &str) -> String {
    format!("{MAGIC}{}\n{json}", Digest::of(json.as_bytes()))
}

fn parse(text: &str) -> Option<Vec<AppRoutes>> {
    let (digest, json) = text.strip_prefix(MAGIC)?.split_once('\n')?;
    if digest.parse::<Digest>().ok()? != Digest::of(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = durable::create(&options, &partial)?;
    durable::write_all(&mut file, bytes)?;
    durable::sync_file(&file)?;
    durable::rename(&partial, path)?;
    durable::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> AppRoutes {
        AppRoutes {
            app: "shop".parse().unwrap(),
            generation: 7,
            live: None,
            deployments: Vec::new(),
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = LastGood(folder.path().join("routes"));
        assert!(file.read().unwrap().is_empty(), "no file yet");
        file.write(&[&routes()]).unwrap();
        assert_eq!(file.read().unwrap(), [routes()]);
    }

    #[test]
    fn a_damaged_file_is_never_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = LastGood(folder.path().join("routes"));
        file.write(&[&routes()]).unwrap();
        let good = fs::read(&file.0).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file.0, &bad).unwrap();
            assert!(file.read().is_err(), "bit flipped at {at}");
            fs::write(&file.0, &good[..at]).unwrap();
            assert!(file.read().is_err(), "cut at {at}");
        }
        fs::write(&file.0, [good.as_slice(), b" "].concat()).unwrap();
        assert!(file.read().is_err(), "something appended");
    }
}
