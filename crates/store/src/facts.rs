//! What the platform knows of itself: a few named values that all its processes must agree on.

use crate::session::{Session, params};
use crate::{Store, StoreError};

impl Store {
    /// A fact; `None` where nobody has stated it.
    pub async fn fact(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |session| find(session, name)).await
    }

    /// States a fact where nobody has; returns what holds, which is another value where somebody else was first.
    pub async fn state_fact(&self, name: &'static str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.write(move |session| match find(session, name)? {
            Some(found) => Ok(found),
            None => {
                session.execute("INSERT INTO facts (name, value) VALUES (?1, ?2)", &params![name, &value])?;
                Ok(value)
            }
        })
        .await
    }
}

fn find(session: &Session, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    session.first("SELECT value FROM facts WHERE name = ?1", &params![name], |row| row.get("value"))
}
