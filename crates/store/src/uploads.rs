//! Uploads: files sent in one go, blob by blob, resumable.

use rusqlite::{Connection, params};
use skylift_model::{AppName, Digest, Manifest, Timestamp, UploadId};

use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::{Store, StoreError, apps, sql};

/// An upload and what it waits for.
#[derive(Clone, Debug)]
pub struct OpenedUpload {
    pub id: UploadId,
    /// What this app has never sent.
    pub missing: Vec<Digest>,
}

/// Makes an upload row; `missing` rows are the caller's.
fn insert(
    connection: &Connection,
    app: &AppName,
    digest: &Digest,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<UploadId, StoreError> {
    let id = UploadId::new(now, sql::random()?);
    connection.execute(
        "INSERT INTO uploads (id, app, manifest, files, bytes, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            id.as_str(),
            app.as_str(),
            digest.as_bytes(),
            sql::signed(manifest.files().len() as u64),
            sql::signed(manifest.bytes()),
            now.as_millis()
        ],
    )?;
    Ok(id)
}

/// Makes an upload whose blobs are all stored: an archive or a clone.
pub(crate) fn insert_complete(
    connection: &Connection,
    app: &AppName,
    digest: &Digest,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<UploadId, StoreError> {
    let mut own = connection.prepare_cached("INSERT OR IGNORE INTO app_blobs (app, digest) VALUES (?1, ?2)")?;
    for file in manifest.files() {
        own.execute(params![app.as_str(), file.sha256.as_bytes()])?;
    }
    insert(connection, app, digest, manifest, now)
}

/// An error unless the upload is the app's and has all its blobs.
pub(crate) fn require_complete(connection: &Connection, app: &AppName, id: &UploadId) -> Result<(), StoreError> {
    let waits = sql::first(
        connection,
        "SELECT (SELECT COUNT(*) FROM upload_missing WHERE upload = id) AS waits FROM uploads WHERE id = ?1 AND app = ?2",
        params![id.as_str(), app.as_str()],
        |row| sql::count(row, "waits"),
    )?;
    match waits {
        None => Err(StoreError::NotFound(Missing::UploadOf { app: app.clone(), upload: id.clone() })),
        Some(0) => Ok(()),
        Some(waits) => Err(Conflict::UploadIncomplete { upload: id.clone(), waits }.into()),
    }
}

fn require(connection: &Connection, id: &UploadId) -> Result<(), StoreError> {
    let is_there = connection.prepare_cached("SELECT 1 FROM uploads WHERE id = ?1")?.exists([id.as_str()])?;
    if is_there { Ok(()) } else { Err(StoreError::NotFound(Missing::Upload(id.clone()))) }
}

impl Store {
    /// Opens an upload. `digest` names the blob that holds the manifest; it must be stored already.
    pub async fn open_upload(
        &self,
        app: AppName,
        digest: Digest,
        manifest: Manifest,
        once: Once<OpenedUpload>,
        now: Timestamp,
    ) -> Result<Done<OpenedUpload>, StoreError> {
        self.write_once(once, now, move |connection| {
            apps::find(connection, &app)?;
            let id = insert(connection, &app, &digest, &manifest, now)?;
            let mut has = connection.prepare_cached("SELECT 1 FROM app_blobs WHERE app = ?1 AND digest = ?2")?;
            let mut waits = connection.prepare_cached("INSERT INTO upload_missing (upload, digest) VALUES (?1, ?2)")?;
            let mut digests: Vec<Digest> = manifest.files().iter().map(|file| file.sha256).collect();
            digests.sort_unstable();
            digests.dedup();
            let mut missing = Vec::new();
            for digest in digests {
                if !has.exists(params![app.as_str(), digest.as_bytes()])? {
                    waits.execute(params![id.as_str(), digest.as_bytes()])?;
                    missing.push(digest);
                }
            }
            Ok(OpenedUpload { id, missing })
        })
        .await
    }

    /// The blob that holds the list of an upload's files.
    pub async fn upload_manifest(&self, id: UploadId) -> Result<Digest, StoreError> {
        self.read(move |connection| {
            let found =
                sql::first(connection, "SELECT manifest FROM uploads WHERE id = ?1", params![id.as_str()], |row| {
                    sql::digest(row, "manifest")
                })?;
            found.ok_or_else(|| StoreError::NotFound(Missing::Upload(id)))
        })
        .await
    }

    /// Which of these blobs the upload waits for, in the order given; an error where there is no such upload.
    pub async fn upload_waits_for_all(&self, id: UploadId, digests: Vec<Digest>) -> Result<Vec<bool>, StoreError> {
        self.read(move |connection| {
            require(connection, &id)?;
            let mut waits =
                connection.prepare_cached("SELECT 1 FROM upload_missing WHERE upload = ?1 AND digest = ?2")?;
            digests.iter().map(|digest| Ok(waits.exists(params![id.as_str(), digest.as_bytes()])?)).collect()
        })
        .await
    }

    /// Notes that blobs of an upload are stored. They must be durable already.
    pub async fn blobs_received(
        &self,
        id: UploadId,
        digests: Vec<Digest>,
        once: Once<()>,
        now: Timestamp,
    ) -> Result<Done<()>, StoreError> {
        self.write_once(once, now, move |connection| {
            require(connection, &id)?;
            let mut own = connection.prepare_cached(
                "INSERT OR IGNORE INTO app_blobs (app, digest) SELECT app, ?2 FROM uploads WHERE id = ?1",
            )?;
            let mut met = connection.prepare_cached("DELETE FROM upload_missing WHERE upload = ?1 AND digest = ?2")?;
            for digest in &digests {
                own.execute(params![id.as_str(), digest.as_bytes()])?;
                met.execute(params![id.as_str(), digest.as_bytes()])?;
            }
            Ok(())
        })
        .await
    }

    /// Uploads of an app that are no commit of its Git repository yet, oldest first, with their manifests.
    pub async fn uncommitted_uploads(&self, app: AppName) -> Result<Vec<(UploadId, Digest, Timestamp)>, StoreError> {
        self.read(move |connection| {
            sql::all(
                connection,
                "SELECT id, manifest, created_ms FROM uploads WHERE app = ?1 AND git_commit IS NULL
                 AND id IN (SELECT upload FROM deployments WHERE app = ?1) ORDER BY id",
                params![app.as_str()],
                |row| Ok((sql::parsed(row, "id")?, sql::digest(row, "manifest")?, sql::time(row, "created_ms")?)),
            )
        })
        .await
    }

    /// The commit and the manifest of the newest upload that has a commit: what the next commit follows.
    pub async fn last_git_commit(&self, app: AppName) -> Result<Option<(String, Digest)>, StoreError> {
        self.read(move |connection| {
            sql::first(
                connection,
                "SELECT git_commit, manifest FROM uploads WHERE app = ?1 AND git_commit IS NOT NULL
                 ORDER BY id DESC LIMIT 1",
                params![app.as_str()],
                |row| Ok((row.get("git_commit")?, sql::digest(row, "manifest")?)),
            )
        })
        .await
    }

    /// Notes which commit of the app's Git repository an upload is.
    pub async fn set_git_commit(&self, id: UploadId, commit: String) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection.execute("UPDATE uploads SET git_commit = ?2 WHERE id = ?1", params![id.as_str(), commit])?;
            Ok(())
        })
        .await
    }
}
