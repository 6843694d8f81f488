//! Commits of an app's Git repository, and the blobs that hold its objects.

use skylift_model::{AppName, Digest, UploadId};

use crate::session::params;
use crate::{Store, StoreError, sql};

impl Store {
    /// Notes which commit of the app's Git repository an upload is, and in which blob its new objects are, where one was
    /// made.
    pub async fn set_git_commit(&self, id: UploadId, commit: String, pack: Option<Digest>) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute("UPDATE uploads SET git_commit = ?2 WHERE id = ?1", &params![id.as_str(), &commit])?;
            let Some(pack) = pack else { return Ok(()) };
            let next = session.first(
                "SELECT app, (SELECT COALESCE(MAX(seq), 0) + 1 FROM git_packs WHERE git_packs.app = uploads.app) AS next
                 FROM uploads WHERE id = ?1",
                &params![id.as_str()],
                |row| Ok((row.get::<String>("app")?, row.get::<i64>("next")?)),
            )?;
            if let Some((app, next)) = next {
                let sql = "INSERT INTO git_packs (app, seq, sha256) VALUES (?1, ?2, ?3)";
                session.execute(sql, &params![&app, next, pack.as_bytes()])?;
            }
            Ok(())
        })
        .await
    }

    /// The blobs with the objects of an app's repository, oldest first.
    pub async fn git_packs(&self, app: AppName) -> Result<Vec<Digest>, StoreError> {
        self.read(move |session| {
            let sql = "SELECT sha256 FROM git_packs WHERE app = ?1 ORDER BY seq";
            session.all(sql, &params![app.as_str()], |row| sql::digest(row, "sha256"))
        })
        .await
    }

    /// Puts one blob with all objects in the place of those there were.
    pub async fn replace_git_packs(&self, app: AppName, pack: Digest) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute("DELETE FROM git_packs WHERE app = ?1", &params![app.as_str()])?;
            let sql = "INSERT INTO git_packs (app, seq, sha256) VALUES (?1, 1, ?2)";
            session.execute(sql, &params![app.as_str(), pack.as_bytes()])?;
            Ok(())
        })
        .await
    }
}
