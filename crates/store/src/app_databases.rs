//! Databases of apps on the owner's server: which there are, and how their roles get in. Making and removing them is `tenants`.

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

impl Store {
    /// Notes a database that was made on the owner's server; instances are replaced by some that know of it.
    pub async fn note_database(
        &self,
        database: DatabaseRow,
        once: Once<DatabaseRow>,
        now: Timestamp,
    ) -> Result<Done<DatabaseRow>, StoreError> {
        self.write_once(once, now, move |session| {
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
