//! The last good routes, on the edge's own disk.
//!
//! ```text
//! skylift-routes 2 <SHA-256 of what follows>
//! [origin,[{"app":…,"generation":…,"live":…,"deployments":[…]},…]]
//! ```
//!
//! `origin` is what their source is called; version 1 had the apps alone, and is read, too.
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
const MAGIC: &str = "skylift-routes 2 ";
const MAGIC_1: &str = "skylift-routes 1 ";
/// More than this is not ours.
const BYTES_MAX: u64 = 1 << 30;

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct LastGood(pub(crate) PathBuf);

/// What is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// What their source is called; `None` where that is not known.
    pub(crate) origin: Option<String>,
    pub(crate) apps: Vec<AppRoutes>,
}

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
    pub(crate) fn read(&self) -> Result<Kept, LastGoodError> {
        let mut text = String::new();
        match File::open(&self.0).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text)) {
            Ok(_) => parse(&text).ok_or_else(|| LastGoodError::Damaged(self.0.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(LastGoodError::Damaged(self.0.clone())),
            Err(error) => Err(LastGoodError::Read(self.0.clone(), error)),
        }
    }

    /// Replaces the file; durable when this returns. Blocking.
    pub(crate) fn write(&self, origin: Option<&str>, apps: &[&AppRoutes]) -> Result<(), LastGoodError> {
        if left_out(Defence::LastGood) {
            return Ok(());
        }
        let text = serde_json::to_string(&(origin, apps)).map_err(io::Error::from).map(|json| render(&json));
        text.and_then(|text| replace(&self.0, text.as_bytes()))
            .map_err(|error| LastGoodError::Write(self.0.clone(), error))
    }
}

fn render(json: &str) -> String {
    format!("{MAGIC}{}\n{json}", Digest::of(json.as_bytes()))
}

fn parse(text: &str) -> Option<Kept> {
    if let Some(rest) = text.strip_prefix(MAGIC_1) {
        return Some(Kept { origin: None, apps: serde_json::from_str(checked(rest)?).ok()? });
    }
    let (origin, apps) = serde_json::from_str(checked(text.strip_prefix(MAGIC)?)?).ok()?;
    Some(Kept { origin, apps })
}

/// What follows a digest, where it is the digest of that.
fn checked(text: &str) -> Option<&str> {
    let (digest, json) = text.split_once('\n')?;
    (digest.parse::<Digest>().ok()? == Digest::of(json.as_bytes())).then_some(json)
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
        assert_eq!(file.read().unwrap(), Kept::default(), "no file yet");
        file.write(Some("one"), &[&routes()]).unwrap();
        assert_eq!(file.read().unwrap(), Kept { origin: Some("one".to_owned()), apps: vec![routes()] });
    }

    #[test]
    fn a_file_that_names_no_source_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = LastGood(folder.path().join("routes"));
        let json = serde_json::to_string(&[routes()]).unwrap();
        fs::write(&file.0, format!("{MAGIC_1}{}\n{json}", Digest::of(json.as_bytes()))).unwrap();
        assert_eq!(file.read().unwrap(), Kept { origin: None, apps: vec![routes()] });
    }

    #[test]
    fn a_damaged_file_is_never_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = LastGood(folder.path().join("routes"));
        file.write(Some("one"), &[&routes()]).unwrap();
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
