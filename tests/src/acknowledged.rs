//! What the platform acknowledged, as a client keeps it: in a file of its own, on disk before the client goes on. Whatever
//! becomes of the platform, each of it must be there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use skylift_model::{DeploymentId, DeploymentState, Digest};
use tempfile::TempDir;

use crate::app::host_of;
use crate::platform::Platform;

/// Deployments that were acknowledged, each a line: app, id, SHA-256 of the page that it brings.
#[derive(Debug)]
pub struct Acknowledged {
    folder: TempDir,
    file: File,
}

/// Whether old deployments may have been forgotten: where clean-up keeps few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    Kept,
    MayBeGone,
}

impl Default for Acknowledged {
    fn default() -> Self {
        let folder = TempDir::with_prefix("skylift-ledger-").unwrap();
        let file = OpenOptions::new().create(true).append(true).open(folder.path().join("ledger")).unwrap();
        Self { folder, file }
    }
}

impl Acknowledged {
    /// Notes one; it is on disk when this returns. Noting it twice is harmless.
    #[expect(clippy::disallowed_methods, reason = "the client's own disk, not the platform's")]
    pub fn note(&mut self, app: &str, id: &DeploymentId, page: &str) {
        writeln!(self.file, "{app} {id} {}", Digest::of(page.as_bytes())).unwrap();
        self.file.sync_all().unwrap();
    }

    /// Notes that an app was deleted: nothing of it needs to be there.
    #[expect(clippy::disallowed_methods, reason = "the client's own disk, not the platform's")]
    pub fn deleted(&mut self, app: &str) {
        writeln!(self.file, "{app} deleted").unwrap();
        self.file.sync_all().unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// What is noted, by app, as the disk has it.
    fn read(&self) -> BTreeMap<String, BTreeMap<DeploymentId, String>> {
        let mut apps: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for line in fs::read_to_string(self.path()).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                [app, "deleted"] => drop(apps.remove(app)),
                [app, id, digest] => {
                    apps.entry(app.to_owned()).or_default().insert(id.parse().unwrap(), digest.to_owned());
                }
                _ => panic!("a line of nobody's: {line}"),
            }
        }
        apps
    }

    /// What nobody knows any more although it was acknowledged.
    pub async fn lost(&self, platform: &Platform) -> Vec<String> {
        let mut lost = Vec::new();
        for (app, noted) in self.read() {
            for id in noted.keys() {
                if let Err(error) = platform.client().deployment(id).await {
                    lost.push(format!("{app} {id}: {error}"));
                }
            }
        }
        lost
    }

    /// Fails the test unless what is live, at its own address and its app's, is what was acknowledged, byte for byte; and,
    /// where old ones are kept, unless all of it is there and has ended.
    pub async fn holds(&self, platform: &Platform, old: Old) {
        let lost = if old == Old::Kept { self.lost(platform).await } else { Vec::new() };
        assert!(lost.is_empty(), "{lost:#?}");
        for (app, noted) in self.read() {
            for (id, digest) in &noted {
                let Ok(found) = platform.client().deployment(id).await else { continue };
                assert!(found.state.is_settled(), "{id} is {}", found.state);
                if found.state == DeploymentState::Live {
                    for host in [format!("{app}.localhost"), host_of(&found)] {
                        let served = platform.get(&host, "/").await;
                        assert_eq!(Digest::of(&served.body).to_string(), *digest, "{host}: {}", served.brief());
                    }
                }
            }
        }
    }
}

impl Drop for Acknowledged {
    #[expect(clippy::print_stderr, reason = "the ledger repeats a failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what was acknowledged\n{}", fs::read_to_string(self.path()).unwrap_or_default());
        }
    }
}
