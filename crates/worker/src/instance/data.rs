//! What an instance is given of its app's data: volumes, which it takes for as long as it lives, and ways to databases.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use skylift_docker::Bind;
use skylift_log::Log;
use skylift_model::volume::{MountPath, Writers, sqlite_environment, volume_environment};
use skylift_model::{AppName, Timestamp, chain};
use skylift_sandbox::{Mount, Source, Spec};
use skylift_store::{DatabaseRow, VolumeKind, VolumeRow};
use tokio::time::{self, sleep};

use super::Instance;
use super::watch_disk::{Volumes, kept_files_max};
use crate::containers::volume_label;
use crate::links::OwnDatabase;
use crate::process::Kind;
use crate::volumes;

/// How often a volume that somebody else has is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How long a command waits for the instances of a stopped app: their drain and grace take part of it.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Volumes that an instance has taken.
pub(super) struct Taken {
    all: Vec<One>,
    volumes: volumes::Volumes,
    /// Of whose container it was noted that it has them.
    engine: Option<String>,
}

struct One {
    /// Whoever keeps it open has the volume.
    lock: OwnedFd,
    volume: VolumeRow,
    folder: PathBuf,
}

impl Taken {
    /// Gives them to a sandbox: seen where the app expects them, and kept until nothing of the sandbox lives any more.
    pub(super) fn give(self, spec: &mut Spec, bytes_max: u64) {
        for One { lock, volume, folder } in self.all {
            spec.pass(lock);
            spec.limits.file_bytes = spec.limits.file_bytes.max(bytes_max);
            spec.mounts.push(Mount::Writable { from: Source::Path(folder), to: volume.path.as_str().into() });
        }
    }

    /// What a container is given of them: seen where the app expects them.
    pub(super) fn binds(&self) -> anyhow::Result<Vec<Bind>> {
        let bind = |one: &One| {
            let from = std::path::absolute(&one.folder).context("find a volume's folder")?;
            Ok(Bind { from, to: one.volume.path.to_string() })
        };
        self.all.iter().map(bind).collect()
    }

    /// What tells the container that has them.
    pub(super) fn labels(&self) -> impl Iterator<Item = (String, String)> {
        self.all.iter().map(|one| (volume_label(&one.volume), String::new()))
    }

    /// To be done before there is a container of this engine that has them.
    pub(super) fn note_contained(&mut self, engine: &str) -> anyhow::Result<()> {
        self.engine = Some(engine.to_owned());
        let note = |one: &One| self.volumes.note_contained(&one.volume, engine);
        self.all.iter().try_for_each(note).context("give a volume to a container")
    }

    /// The engine whose container has them, where there are any.
    pub(super) fn engine(&self) -> Option<&str> {
        self.engine.as_deref()
    }

    /// The container that had them is gone.
    pub(super) fn free(self) {
        // Of one that bears several, others may have it still: the note stays until it is removed itself.
        for one in self.all.iter().filter(|one| one.volume.writers == Writers::One) {
            if let Err(error) = self.volumes.forget_contained(&one.volume) {
                // The next start finds out by the engine that nobody has it.
                tracing::warn!(volume.id = %one.volume.id, error = %chain(&error), "cannot tell that a volume is free");
            }
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Their folders, and where they are seen.
    pub(super) fn places(&self) -> Vec<(PathBuf, MountPath)> {
        self.all.iter().map(|one| (one.folder.clone(), one.volume.path.clone())).collect()
    }

    /// The variables that lead to each, with when it was made.
    fn environments(&self) -> impl Iterator<Item = (Timestamp, BTreeMap<String, String>)> {
        self.all.iter().map(|One { volume, .. }| {
            let environment = match volume.kind {
                VolumeKind::Plain => volume_environment(&volume.name, &volume.path),
                VolumeKind::Sqlite => sqlite_environment(&volume.name, &volume.path),
            };
            (volume.created_at, environment)
        })
    }
}

impl Instance {
    /// Takes the volumes of its app. One that bears one writer is waited for by what answers requests and by a release command;
    /// a command of the owner's is refused it while somebody has it, and other processes do without.
    pub(super) async fn take_volumes(&self, log: &Log) -> anyhow::Result<Taken> {
        let mut taken = Taken { all: Vec::new(), volumes: self.worker.volumes.clone(), engine: None };
        for volume in &self.input.volumes {
            if volume.writers == Writers::One && self.kind() == Kind::Worker {
                let name = &volume.name;
                log.say(self.step(), format!("runs without `{name}`, which has one writer: what answers requests"))
                    .await;
                continue;
            }
            taken.all.push(self.take(volume, log).await?);
        }
        Ok(taken)
    }

    async fn take(&self, volume: &VolumeRow, log: &Log) -> anyhow::Result<One> {
        let (volumes, name, app) = (&self.worker.volumes, &volume.name, &volume.app);
        let (began, mut is_told) = (time::Instant::now(), false);
        let lock = loop {
            if let Some(lock) = volumes.try_take(volume)? {
                break lock;
            }
            if self.kind() == Kind::OneOff && !self.is_about_to_be_free(began, app).await? {
                bail!("`{name}` has one writer, which an instance of {app} is; `skylift scale {app} 0` stops it");
            }
            if !std::mem::replace(&mut is_told, true) {
                log.say(self.step(), format!("waits for `{name}`, which has one writer")).await;
            }
            sleep(ASK_AGAIN).await;
        };
        // Before it is claimed: what is missing afterwards was lost, and an empty folder in its place would be taken for the data.
        let folder = volumes.path(volume);
        if volume.node.is_none() || folder.is_dir() {
            volumes.make(volume)?;
        }
        let node = self.worker.store.claim_volume(volume.id.clone(), self.worker.node.clone()).await;
        match node.context("look for a volume")? {
            Some(node) if node == self.worker.node => {}
            Some(node) => bail!("its volume `{name}` is on the node {node}"),
            None => bail!("its volume `{name}` was removed"),
        }
        if volume.writers == Writers::One && volumes.contained(volume)?.is_some() {
            log.say(self.step(), format!("waits until the Docker engine has removed what had `{name}` before")).await;
            self.worker.free_of_containers(volume).await?;
        }
        if !folder.is_dir() {
            bail!("the folder {} of its volume `{name}` is gone; put it back, or remove the volume", folder.display());
        }
        Ok(One { lock, volume: volume.clone(), folder })
    }

    /// Whether whoever has its app's volumes is about to end, because the owner has stopped the app.
    async fn is_about_to_be_free(&self, began: time::Instant, app: &AppName) -> anyhow::Result<bool> {
        let app = self.worker.store.app(app.clone()).await.context("look whether the app is stopped")?;
        Ok(app.stopped && began.elapsed() < ENDS_WITHIN)
    }

    /// The variables that lead to what its app keeps, the oldest first: of volumes and, in their order, of databases on the server.
    pub(super) fn by_age(
        &self,
        taken: &Taken,
        on_server: Vec<BTreeMap<String, String>>,
    ) -> Vec<BTreeMap<String, String>> {
        let made = self.input.databases.iter().map(|database| database.created_at);
        let mut all: Vec<_> = taken.environments().chain(made.zip(on_server)).collect();
        all.sort_by_key(|(made, _)| *made);
        all.into_iter().map(|(_, environment)| environment).collect()
    }

    /// How much its volumes hold, and may.
    pub(super) async fn measured(&self, taken: &Taken) -> anyhow::Result<Volumes> {
        let (places, bytes_max) = (taken.places(), self.worker.settings.volume_bytes);
        let measured = tokio::task::spawn_blocking(move || Volumes::before(places, bytes_max)).await;
        measured.context("measure a volume")?.context("measure a volume")
    }

    /// Whether a volume holds so much that no file may be written. Only a command of the owner's starts then, to delete what is too much.
    pub(super) fn is_overfull(&self, volumes: &Volumes) -> anyhow::Result<bool> {
        let bytes_max = self.worker.settings.volume_bytes;
        match (volumes.overfull(bytes_max), self.kind()) {
            (None, _) => Ok(false),
            (Some(_), Kind::OneOff) => Ok(true),
            (Some(path), _) => bail!(
                "its volume at {path} holds far more than {} MiB or {} files; `skylift run {} -- rm …` makes room, and so does a larger \
                 `[instances] volume_bytes`",
                bytes_max >> 20,
                kept_files_max(bytes_max),
                self.input.instance.app,
            ),
        }
    }

    /// Its app's databases on the owner's server, each with its role and password.
    pub(super) fn own_databases(&self) -> anyhow::Result<Vec<OwnDatabase>> {
        let server = self.worker.settings.databases.as_ref();
        let open = |row: &DatabaseRow| {
            let context = format!("database/{}/{}", row.app, row.name);
            let password = self.worker.key.open(&context, &row.sealed).context("open a database's password")?;
            let password = String::from_utf8(password).context("read a database's password")?;
            let at = server.map(|server| server.for_tenant(&row.place, &password, &row.place));
            Ok(OwnDatabase { name: row.name.clone(), at })
        };
        self.input.databases.iter().map(open).collect()
    }

    /// The user it runs as: where it has volumes the one that they belong to, else one of its own.
    pub(super) fn user(&self, taken: &Taken) -> u32 {
        if taken.is_empty() { self.uid() } else { volumes::uid(self.input.slot) }
    }
}
