//! Commits and clean-up over a real store, real blobs and real Git.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "platform/away.rs"]
mod away;
#[path = "platform/race.rs"]
mod race;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use skylift_blob::Blobs;
use skylift_bus::Bus;
use skylift_control::cleanup::{Cleanup, Keep};
use skylift_control::commit::Committer;
use skylift_control::worker::{LEASE, Queue};
use skylift_model::plan::Plan;
use skylift_model::site::{Asset, Site, SiteSettings};
use skylift_model::source::Source;
use skylift_model::{AppName, Clock, DeploymentId, Digest, FileEntry, FileMode, Manifest, Program, Timestamp};
use skylift_store::{JobKind, NewDeployment, Once, SentBytes, Store};
use tokio::sync::watch;

struct Platform {
    folder: tempfile::TempDir,
    queue: Queue,
    blobs: Blobs,
}

impl Platform {
    async fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap()).await
    }

    async fn in_folder(folder: tempfile::TempDir) -> Self {
        let store = Store::open(&folder.path().join("skylift.db")).unwrap();
        let clock = Clock::new(|| {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            Timestamp::from_millis(now.as_millis() as i64)
        });
        store.create_app(app(), Once::default(), clock.now()).await.unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        Self { folder, queue: Queue { store, bus: Bus::in_process(), clock }, blobs }
    }

    /// Deploys files as an archive and makes them live, with themselves as the artifact.
    async fn deploy(&self, files: &[(&str, &str)]) -> DeploymentId {
        self.deploy_as(files, Artifact::Site).await
    }

    async fn deploy_as(&self, files: &[(&str, &str)], artifact: Artifact) -> DeploymentId {
        let Queue { store, clock, .. } = &self.queue;
        let mut entries = Vec::new();
        let mut site = Site::default();
        for (path, text) in files {
            let sha256 = self.blobs.put(text.as_bytes().to_vec()).await.unwrap();
            let size = text.len() as u64;
            entries.push(FileEntry { path: path.parse().unwrap(), sha256, size, mode: FileMode::File });
            site.files.insert(path.parse().unwrap(), Asset { sha256, size, variants: Vec::new(), immutable: None });
        }
        let manifest = Manifest::new(entries).unwrap();
        let digest = self.blobs.put(serde_json::to_vec(&manifest).unwrap()).await.unwrap();
        let (document, plan) = match artifact {
            Artifact::Site => (serde_json::to_vec(&site).unwrap(), None),
            Artifact::Program(built) => {
                let bytes = built.as_bytes().to_vec();
                let (size, sha256) = (bytes.len() as u64, self.blobs.put(bytes).await.unwrap());
                let entry = FileEntry { path: "built".parse().unwrap(), sha256, size, mode: FileMode::File };
                let list = serde_json::to_vec(&Manifest::of_program(vec![entry]).unwrap()).unwrap();
                let program = program(self.blobs.put(list).await.unwrap());
                (serde_json::to_vec(&program).unwrap(), Some(plan()))
            }
        };
        let artifact = self.blobs.put(document).await.unwrap();
        let bytes = SentBytes::Archive(digest, manifest);
        let new = NewDeployment { app: app(), source: Source::Archive, dir: None, bytes, secret: None };
        let done = store.create_deployment(new, Once::default(), clock.now()).await.unwrap();
        let id = done.made().unwrap().deployment.id;
        let build = store.lease(JobKind::Build, clock.now(), LEASE).await.unwrap().unwrap();
        store.begin_build(build.clone(), clock.now()).await.unwrap();
        if let Some(plan) = plan {
            store.set_plan(build.clone(), plan).await.unwrap();
        }
        store.finish_build(build, artifact, clock.now()).await.unwrap();
        let deploy = store.lease(JobKind::Deploy, clock.now(), LEASE).await.unwrap().unwrap();
        store.go_live(deploy, clock.now()).await.unwrap();
        id
    }

    /// Runs the committer until every upload has its commit.
    async fn commit(&self) {
        let (stop, stopped) = watch::channel(false);
        let committer = Committer { queue: self.queue.clone(), blobs: self.blobs.clone(), repositories: self.git() };
        let running = tokio::spawn(committer.run(stopped));
        let mut woken = self.queue.bus.subscribe();
        while !self.queue.store.uncommitted_uploads(app()).await.unwrap().is_empty() {
            woken.next().await;
        }
        stop.send(true).unwrap();
        running.await.unwrap();
    }

    fn git(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    fn ask_git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").arg("--git-dir").arg(self.git().join("shop.git")).args(arguments).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    fn cleanup(&self) -> Cleanup {
        let Queue { store, bus, clock } = self.queue.clone();
        Cleanup { store, blobs: self.blobs.clone(), bus, clock }
    }
}

/// What a deployment comes to.
#[derive(Clone, Copy)]
enum Artifact {
    /// Its files as they are.
    Site,
    /// A program whose build made one file, with this text.
    Program(&'static str),
}

fn program(files: Digest) -> Program {
    let web = "./built".to_owned();
    serde_json::from_value(serde_json::json!({ "files": files, "folder": "", "web": web })).unwrap()
}

fn plan() -> Plan {
    let plan = serde_json::json!({
        "kind": "procfile", "root": "", "install_root": "", "output": "", "site": SiteSettings::default(), "decisions": []
    });
    serde_json::from_value(plan).unwrap()
}

fn app() -> AppName {
    "shop".parse().unwrap()
}

#[tokio::test]
async fn uploads_can_be_read_with_plain_git() {
    let platform = Platform::new().await;
    platform.deploy(&[("index.html", "one"), ("a/\"quoted\" ü.txt", "x"), ("gone.txt", "bye")]).await;
    platform.commit().await;
    platform.deploy(&[("index.html", "two"), ("a/\"quoted\" ü.txt", "x")]).await;
    platform.commit().await;
    assert_eq!(platform.ask_git(&["rev-list", "--count", "main"]), "2\n");
    assert_eq!(platform.ask_git(&["show", "main~1:index.html"]), "one");
    assert_eq!(platform.ask_git(&["diff", "--name-status", "main~1", "main"]), "D\tgone.txt\nM\tindex.html\n");
    assert_eq!(platform.ask_git(&["show", "main:a/\"quoted\" ü.txt"]), "x");
    assert_eq!(platform.ask_git(&["fsck", "--strict"]), "");
}

#[tokio::test]
async fn a_lost_repository_starts_anew_with_the_next_upload() {
    let platform = Platform::new().await;
    platform.deploy(&[("index.html", "one")]).await;
    platform.commit().await;
    std::fs::remove_dir_all(platform.git()).unwrap();
    platform.deploy(&[("index.html", "one"), ("b", "two")]).await;
    platform.commit().await;
    assert_eq!(platform.ask_git(&["ls-tree", "--name-only", "main"]), "b\nindex.html\n");
}

#[tokio::test]
async fn what_a_killed_git_left_does_not_keep_out_the_next_commit() {
    let platform = Platform::new().await;
    let repository = platform.git().join("shop.git");
    // Killed while it made the repository: a lock, and not yet all that Git needs.
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("HEAD.lock"), "ref: refs/heads/main\n").unwrap();
    platform.deploy(&[("index.html", "one")]).await;
    platform.commit().await;
    // Killed while it moved the branch.
    for lock in ["HEAD.lock", "refs/heads/main.lock"] {
        std::fs::write(repository.join(lock), "").unwrap();
    }
    platform.deploy(&[("index.html", "two")]).await;
    platform.commit().await;
    assert_eq!(platform.ask_git(&["rev-list", "--count", "main"]), "2\n");
}

#[tokio::test]
async fn clean_up_frees_what_nothing_names_and_nothing_else() {
    let platform = Platform::new().await;
    platform.deploy(&[("index.html", "first, long gone"), ("same", "shared")]).await;
    for text in ["second", "third"] {
        platform.deploy(&[("index.html", text), ("same", "shared")]).await;
    }
    platform.commit().await;
    let keep = Keep { deployments: 1, bytes: u64::MAX, grace: Duration::ZERO };
    let cleaned = platform.cleanup().run(keep).await.unwrap();
    assert_eq!(cleaned.deployments, 1);
    let is_stored = |text: &'static str| {
        let blobs = platform.blobs.clone();
        async move { blobs.contains(&Digest::of(text.as_bytes())).await.unwrap() }
    };
    // The upload itself is kept a day for resuming; its time has not come, so its bytes are named still.
    assert!(is_stored("first, long gone").await);
    let later = platform.queue.clock.now().plus(Duration::from_secs(25 * 3600));
    let cleanup = Cleanup { clock: Clock::new(move || later), ..platform.cleanup() };
    cleanup.run(keep).await.unwrap();
    assert!(!is_stored("first, long gone").await);
    for kept in ["second", "third", "shared"] {
        assert!(is_stored(kept).await, "{kept}");
    }
}

#[tokio::test]
async fn clean_up_leaves_what_programs_are_made_of_and_frees_it_when_they_go() {
    let platform = Platform::new().await;
    for text in ["what ran first", "what ran before", "what runs"] {
        platform.deploy_as(&[("Procfile", "web: ./built")], Artifact::Program(text)).await;
    }
    platform.commit().await;
    let stray = platform.blobs.put(b"stray".to_vec()).await.unwrap();
    let later = platform.queue.clock.now().plus(Duration::from_secs(25 * 3600));
    let cleanup = Cleanup { clock: Clock::new(move || later), ..platform.cleanup() };
    cleanup.run(Keep { deployments: 1, bytes: u64::MAX, grace: Duration::ZERO }).await.unwrap();
    let is_stored = async |text: &str| platform.blobs.contains(&Digest::of(text.as_bytes())).await.unwrap();
    assert!(is_stored("what runs").await && is_stored("what ran before").await);
    // The controls: what no program names any more goes, and so does what none ever named.
    assert!(!is_stored("what ran first").await);
    assert!(!platform.blobs.contains(&stray).await.unwrap());
}

#[tokio::test]
async fn a_program_whose_list_is_lost_stops_clean_up_before_it_removes_anything() {
    let platform = Platform::new().await;
    platform.deploy_as(&[("Procfile", "web: ./built")], Artifact::Program("what runs")).await;
    let stray = platform.blobs.put(b"stray".to_vec()).await.unwrap();
    let references = platform.queue.store.references().await.unwrap();
    assert!(references.artifacts.is_empty());
    let document = platform.blobs.get(&references.programs[0], 1 << 20).await.unwrap().unwrap();
    let program: Program = serde_json::from_slice(&document).unwrap();
    let name = program.files.to_string();
    std::fs::remove_file(platform.folder.path().join("blobs/sha256").join(&name[..2]).join(&name)).unwrap();
    let keep = Keep { deployments: 1, bytes: u64::MAX, grace: Duration::ZERO };
    assert!(platform.cleanup().run(keep).await.is_err());
    assert!(platform.blobs.contains(&stray).await.unwrap());
}

#[tokio::test]
async fn the_byte_budget_takes_the_oldest_but_never_what_is_live() {
    let platform = Platform::new().await;
    let old = platform.deploy(&[("index.html", "old")]).await;
    let live = platform.deploy(&[("index.html", "live")]).await;
    platform.commit().await;
    let keep = Keep { deployments: 10, bytes: 0, grace: Duration::ZERO };
    platform.cleanup().run(keep).await.unwrap();
    let left: Vec<_> = platform.queue.store.deployments(Some(app()), 10).await.unwrap();
    assert_eq!(left.iter().map(|row| &row.id).collect::<Vec<_>>(), [&live]);
    assert_ne!(old, live);
}

#[tokio::test]
async fn an_unreadable_manifest_stops_clean_up_before_it_removes_anything() {
    let platform = Platform::new().await;
    platform.deploy(&[("index.html", "live")]).await;
    let stray = platform.blobs.put(b"stray".to_vec()).await.unwrap();
    let references = platform.queue.store.references().await.unwrap();
    let name = references.manifests[0].to_string();
    std::fs::remove_file(platform.folder.path().join("blobs/sha256").join(&name[..2]).join(&name)).unwrap();
    let keep = Keep { deployments: 1, bytes: u64::MAX, grace: Duration::ZERO };
    assert!(platform.cleanup().run(keep).await.is_err());
    assert!(platform.blobs.contains(&stray).await.unwrap());
}
