//! Uploads: files sent in one go, blob by blob, resumable.

use skylift_model::{AppName, Digest, Manifest, Timestamp, UploadId};

use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::session::{Session, params};
use crate::{Store, StoreError, apps, sql};

/// An upload and what it waits for.
#[derive(Clone, Debug)]
pub struct OpenedUpload {
    pub id: UploadId,
    /// What this app has never sent, and what was lost since.
    pub missing: Vec<Digest>,
}

/// Makes an upload row; `missing` rows are the caller's.
fn insert(
    session: &Session,
    app: &AppName,
    digest: &Digest,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<UploadId, StoreError> {
    let id = UploadId::new(now, sql::random()?);
    session.execute(
        "INSERT INTO uploads (id, app, manifest, files, bytes, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &params![
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
    session: &Session,
    app: &AppName,
    digest: &Digest,
    manifest: &Manifest,
    now: Timestamp,
) -> Result<UploadId, StoreError> {
    own(session, app, manifest.files().iter().map(|file| file.sha256))?;
    insert(session, app, digest, manifest, now)
}

/// An error unless the upload is the app's and has all its blobs.
pub(crate) fn require_complete(session: &Session, app: &AppName, id: &UploadId) -> Result<(), StoreError> {
    let waits = session.first("SELECT (SELECT COUNT(*) FROM upload_missing WHERE upload = id) AS waits FROM uploads WHERE id = ?1 AND app = ?2",
        &params![id.as_str(), app.as_str()],
        |row| sql::count(row, "waits"),
    )?;
    match waits {
        None => Err(StoreError::NotFound(Missing::UploadOf { app: app.clone(), upload: id.clone() })),
        Some(0) => Ok(()),
        Some(waits) => Err(Conflict::UploadIncomplete { upload: id.clone(), waits }.into()),
    }
}

/// Notes what an app has sent.
fn own(session: &Session, app: &AppName, digests: impl Iterator<Item = Digest>) -> Result<(), StoreError> {
    let digests: Vec<Digest> = digests.collect();
    session.execute_each(
        "INSERT INTO app_blobs (app, digest) VALUES (?1, ?2) ON CONFLICT (app, digest) DO NOTHING",
        digests.iter().map(|digest| params![app.as_str(), digest.as_bytes()]),
    )?;
    Ok(())
}

/// The app of an upload; an error where there is no such upload.
fn require(session: &Session, id: &UploadId) -> Result<AppName, StoreError> {
    let found =
        session.first("SELECT app FROM uploads WHERE id = ?1", &params![id.as_str()], |row| sql::parsed(row, "app"))?;
    found.ok_or_else(|| StoreError::NotFound(Missing::Upload(id.clone())))
}

impl Store {
    /// Opens an upload. `digest` names the blob that holds the manifest; it must be stored already. What is `lost` is
    /// missing, whoever sent it before.
    pub async fn open_upload(
        &self,
        app: AppName,
        digest: Digest,
        manifest: Manifest,
        lost: Vec<Digest>,
        once: Once<OpenedUpload>,
        now: Timestamp,
    ) -> Result<Done<OpenedUpload>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            let id = insert(session, &app, &digest, &manifest, now)?;
            let mut digests: Vec<Digest> = manifest.files().iter().map(|file| file.sha256).collect();
            digests.sort_unstable();
            digests.dedup();
            let sent = session.exists_each(
                "SELECT 1 FROM app_blobs WHERE app = ?1 AND digest = ?2",
                digests.iter().map(|digest| params![app.as_str(), digest.as_bytes()]),
            )?;
            let lost: std::collections::BTreeSet<Digest> = lost.into_iter().collect();
            let is_missing = |(digest, sent): &(Digest, bool)| !sent || lost.contains(digest);
            let missing: Vec<Digest> =
                digests.into_iter().zip(sent).filter(is_missing).map(|(digest, _)| digest).collect();
            session.execute_each(
                "INSERT INTO upload_missing (upload, digest) VALUES (?1, ?2)",
                missing.iter().map(|digest| params![id.as_str(), digest.as_bytes()]),
            )?;
            Ok(OpenedUpload { id, missing })
        })
        .await
    }

    /// The blob that holds the list of an upload's files.
    pub async fn upload_manifest(&self, id: UploadId) -> Result<Digest, StoreError> {
        self.read(move |session| {
            let found = session.first("SELECT manifest FROM uploads WHERE id = ?1", &params![id.as_str()], |row| {
                sql::digest(row, "manifest")
            })?;
            found.ok_or_else(|| StoreError::NotFound(Missing::Upload(id)))
        })
        .await
    }

    /// Which of these blobs the upload waits for, in the order given; an error where there is no such upload.
    pub async fn upload_waits_for_all(&self, id: UploadId, digests: Vec<Digest>) -> Result<Vec<bool>, StoreError> {
        self.read(move |session| {
            require(session, &id)?;
            session.exists_each(
                "SELECT 1 FROM upload_missing WHERE upload = ?1 AND digest = ?2",
                digests.iter().map(|digest| params![id.as_str(), digest.as_bytes()]),
            )
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
        self.write_once(once, now, move |session| {
            let app = require(session, &id)?;
            own(session, &app, digests.iter().copied())?;
            session.execute_each(
                "DELETE FROM upload_missing WHERE upload = ?1 AND digest = ?2",
                digests.iter().map(|digest| params![id.as_str(), digest.as_bytes()]),
            )?;
            Ok(())
        })
        .await
    }

    /// Uploads of an app that are no commit of its Git repository yet, oldest first, with their manifests.
    pub async fn uncommitted_uploads(&self, app: AppName) -> Result<Vec<(UploadId, Digest, Timestamp)>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT id, manifest, created_ms FROM uploads WHERE app = ?1 AND git_commit IS NULL
                 AND id IN (SELECT upload FROM deployments WHERE app = ?1) ORDER BY id",
                &params![app.as_str()],
                |row| Ok((sql::parsed(row, "id")?, sql::digest(row, "manifest")?, sql::time(row, "created_ms")?)),
            )
        })
        .await
    }

    /// The commit and the manifest of the newest upload that has a commit: what the next commit follows.
    pub async fn last_git_commit(&self, app: AppName) -> Result<Option<(String, Digest)>, StoreError> {
        self.read(move |session| {
            session.first(
                "SELECT git_commit, manifest FROM uploads WHERE app = ?1 AND git_commit IS NOT NULL
                 ORDER BY id DESC LIMIT 1",
                &params![app.as_str()],
                |row| Ok((row.get("git_commit")?, sql::digest(row, "manifest")?)),
            )
        })
        .await
    }
}
