//! Databases of apps on the owner's server: which there are, and how their roles get in. Making and removing them is `tenants`.
//!
//! ```text
//! begun ──make on the server──▶ noted, no longer begun
//!   └── whoever made it failed or died ──▶ removed from the server ──▶ forgotten
//! ```

use skylift_durable::{Defence, left_out};
use skylift_model::{AppName, Timestamp, VolumeName};

use crate::idempotency::{Done, Once};
use crate::session::{Row, Session, params};
use crate::volumes::{self, VolumeKind};
use crate::{Store, StoreError, apps, sql};

/// A database on the owner's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseRow {
    pub app: AppName,
    pub name: VolumeName,
    /// What it and its role are called on the server.
    pub place: String,
    /// The role's password, sealed.
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
}

fn read(row: &Row<'_>) -> Result<DatabaseRow, StoreError> {
    Ok(DatabaseRow {
        app: sql::parsed(row, "app")?,
        name: sql::parsed(row, "name")?,
        place: row.get("place")?,
        sealed: row.get("sealed")?,
        created_at: sql::time(row, "created_ms")?,
    })
}

/// An app's databases on the owner's server, oldest first.
pub(crate) fn of(session: &Session, app: &AppName) -> Result<Vec<DatabaseRow>, StoreError> {
    let sql = "SELECT * FROM databases WHERE app = ?1 ORDER BY created_ms, name";
    session.all(sql, &params![app.as_str()], read)
}

fn forget_begun(session: &Session, place: &str) -> Result<bool, StoreError> {
    let gone = session.execute("DELETE FROM databases_begun WHERE place = ?1", &params![place])?;
    Ok(gone == 1 || left_out(Defence::Intent))
}

impl Store {
    /// Says that a database of this name is about to be made on the owner's server: whatever becomes of whoever makes it, it is known.
    pub async fn begin_database(&self, place: String, now: Timestamp) -> Result<(), StoreError> {
        if left_out(Defence::Intent) {
            return Ok(());
        }
        self.write(move |session| {
            let sql = "INSERT INTO databases_begun (place, begun_ms) VALUES (?1, ?2)";
            session.execute(sql, &params![&place, now.as_millis()]).map(drop)
        })
        .await
    }

    /// What was begun before then and never noted, oldest first.
    pub async fn begun_databases(&self, before: Timestamp) -> Result<Vec<String>, StoreError> {
        self.read(move |session| {
            let sql = "SELECT place FROM databases_begun WHERE begun_ms < ?1 ORDER BY begun_ms, place";
            session.all(sql, &params![before.as_millis()], |row| row.get("place"))
        })
        .await
    }

    /// Forgets one that was begun and is gone from the owner's server, or never came there.
    pub async fn forget_begun_database(&self, place: String) -> Result<(), StoreError> {
        self.write(move |session| forget_begun(session, &place).map(drop)).await
    }

    /// Notes a database that was begun and made on the owner's server; instances are replaced by some that know of it.
    /// [`StoreError::Fenced`] where it was taken for one that nobody finishes.
    pub async fn note_database(
        &self,
        database: DatabaseRow,
        once: Once<DatabaseRow>,
        now: Timestamp,
    ) -> Result<Done<DatabaseRow>, StoreError> {
        self.write_once(once, now, move |session| {
            if !forget_begun(session, &database.place)? {
                return Err(StoreError::Fenced);
            }
            apps::find(session, &database.app)?;
            volumes::refuse_name(session, &database.app, &database.name)?;
            session.execute(
                "INSERT INTO databases (app, name, place, sealed, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                &params![
                    database.app.as_str(),
                    database.name.as_str(),
                    &database.place,
                    &database.sealed,
                    now.as_millis()
                ],
            )?;
            volumes::replace_instances(session, &database.app, now)?;
            Ok(DatabaseRow { created_at: now, ..database })
        })
        .await
    }

    /// An app's databases on the owner's server, oldest first.
    pub async fn databases(&self, app: AppName) -> Result<Vec<DatabaseRow>, StoreError> {
        self.read(move |session| {
            apps::find(session, &app)?;
            of(session, &app)
        })
        .await
    }

    /// Forgets a database that is gone from the owner's server.
    pub async fn forget_database(
        &self,
        app: AppName,
        name: VolumeName,
        once: Once<()>,
        now: Timestamp,
    ) -> Result<Done<()>, StoreError> {
        self.write_once(once, now, move |session| {
            let gone = session
                .execute("DELETE FROM databases WHERE app = ?1 AND name = ?2", &params![app.as_str(), name.as_str()])?;
            if gone == 0 {
                return Err(volumes::missing(&app, &name, VolumeKind::Sqlite));
            }
            volumes::replace_instances(session, &app, now)
        })
        .await
    }
}
