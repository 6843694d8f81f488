//! The owner's server of databases for apps. It has nothing to do with where the rows are, though it may be the same server.
//!
//! Each database there has one role of the same name, which owns it and may nothing else; nobody else may connect to it. Making one and
//! removing one may both be repeated. Every role of the server sees the names of all others, so they tell nothing of the app.

mod closed;
mod removal;

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::DbError;

use crate::postgres::Server;
use crate::{StoreError, sql};

/// How long a statement may take: making a database copies files.
const DONE_WITHIN: Duration = Duration::from_secs(60);
/// How many connections an app's role may have: all that the server has are for all apps.
const CONNECTIONS_MAX: u32 = 20;

/// A server that databases of apps are made on.
#[derive(Clone)]
pub struct TenantServer(Server);

/// A database to be made, with its role.
pub struct Tenant {
    /// What both are called.
    pub place: String,
    /// The role's.
    pub password: String,
}

impl Tenant {
    /// One with a name that no other has, and a password that nobody guesses.
    pub fn random() -> Result<Self, StoreError> {
        let place = format!("sky_{:016x}{:016x}", sql::random()?, sql::random()?);
        let password = format!("{:016x}{:016x}{:016x}", sql::random()?, sql::random()?, sql::random()?);
        Ok(Self { place, password })
    }
}

/// Why the server did not do it. What is said holds no password.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    #[error("the PostgreSQL server for databases of apps does not answer")]
    Unreachable(#[source] StoreError),
    #[error("the PostgreSQL server for databases of apps did not {step} within {DONE_WITHIN:?}")]
    TooSlow { step: &'static str },
    #[error("the PostgreSQL server for databases of apps did not {step}: {why}")]
    Refused { step: &'static str, why: String },
    #[error("`{0}` is no name that databases of apps have")]
    Name(String),
}

impl TenantServer {
    /// From the address of a user that may make roles and databases.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        Server::parse(url).map(Self)
    }

    /// Makes a database and its role, and closes what the role could enter besides. Where the server refuses, it is left without both.
    pub async fn make(&self, tenant: &Tenant) -> Result<(), TenantError> {
        match self.try_make(tenant).await {
            Err(TenantError::Refused { step, why }) => match self.remove(&tenant.place).await {
                Ok(()) => Err(TenantError::Refused { step, why }),
                Err(left) => {
                    Err(TenantError::Refused { step, why: format!("{why}; `{}` is left there: {left}", tenant.place) })
                }
            },
            made => made,
        }
    }

    async fn try_make(&self, Tenant { place, password }: &Tenant) -> Result<(), TenantError> {
        let place = quoted(place)?;
        let client = self.client_alone_with(&place).await?;
        // The password is of letters and digits alone, so that it is a literal as it stands.
        let role = format!(
            "CREATE ROLE {place} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
             CONNECTION LIMIT {CONNECTIONS_MAX} PASSWORD '{password}'"
        );
        closed::close(&client).await?;
        done(&client, "make a role", &role).await?;
        // Who is no superuser gives a database only to a role that it is a member of.
        let member = "DO $$ BEGIN IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
             EXECUTE format('GRANT %I TO %I', 'ROLE', current_user); END IF; END $$";
        done(&client, "join a role", &member.replace("'ROLE'", &format!("'{}'", place.trim_matches('"')))).await?;
        // Nobody can enter template0, so that nobody is in the way there, or has left something. The new one is entered once it is closed.
        let database = format!(
            "CREATE DATABASE {place} OWNER {place} TEMPLATE template0
             CONNECTION LIMIT {CONNECTIONS_MAX} ALLOW_CONNECTIONS false"
        );
        done(&client, "make a database", &database).await?;
        done(&client, "close a database", &format!("REVOKE ALL ON DATABASE {place} FROM PUBLIC")).await?;
        done(&client, "open a database", &format!("ALTER DATABASE {place} ALLOW_CONNECTIONS true")).await
    }

    /// Removes a database with everything in it, and its role, with what that owns anywhere. Whoever uses it is cut off; whoever makes it
    /// is waited for, even one that died, since the server goes on with what it was told.
    ///
    /// What fails may be tried again. The database goes only once the role owns nothing elsewhere, so that it is there as long as
    /// somebody else's database is what hinders.
    pub async fn remove(&self, place: &str) -> Result<(), TenantError> {
        let place = quoted(place)?;
        let client = self.client_alone_with(&place).await?;
        removal::cut_off(&client, &place).await?;
        removal::clear_elsewhere(&self.0, &client, &place).await?;
        done(&client, "remove a database", &format!("DROP DATABASE IF EXISTS {place} WITH (FORCE)")).await?;
        done(&client, "remove a role", &format!("DROP ROLE IF EXISTS {place}")).await
    }

    /// A client beside which nobody else makes or removes this one, for as long as the server is at it.
    async fn client_alone_with(&self, place: &str) -> Result<Client, TenantError> {
        let client = self.client().await?;
        let name = place.trim_matches('"');
        done(&client, "wait for others", &format!("SELECT pg_advisory_lock(hashtextextended('{name}', 0))")).await?;
        Ok(client)
    }

    async fn client(&self) -> Result<Client, TenantError> {
        connect(&self.0).await
    }
}

async fn connect(server: &Server) -> Result<Client, TenantError> {
    match timeout(DONE_WITHIN, server.connect()).await {
        Ok(connected) => connected.map_err(TenantError::Unreachable),
        Err(_) => Err(TenantError::TooSlow { step: "connect" }),
    }
}

async fn done(client: &Client, step: &'static str, sql: &str) -> Result<(), TenantError> {
    within(step, client.batch_execute(sql)).await
}

/// What the server says to a statement, in time.
async fn within<T>(
    step: &'static str,
    said: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, TenantError> {
    match timeout(DONE_WITHIN, said).await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(error)) => match error.as_db_error() {
            Some(refusal) => Err(TenantError::Refused { step, why: told(refusal) }),
            None => Err(TenantError::Unreachable(error.into())),
        },
        Err(_) => Err(TenantError::TooSlow { step }),
    }
}

/// A refusal with its detail, such as which database something is in.
fn told(refusal: &DbError) -> String {
    let detail = refusal.detail().map(|detail| format!(" ({detail})"));
    format!("{}{}", refusal.message(), detail.unwrap_or_default())
}

/// A name as it stands in a statement.
fn quoted(place: &str) -> Result<String, TenantError> {
    let is_plain = place.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    match place.starts_with("sky_") && is_plain && place.len() <= 63 {
        true => Ok(format!("\"{place}\"")),
        false => Err(TenantError::Name(place.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_come_into_a_statement() {
        assert_eq!(quoted("sky_shop_0a").unwrap(), "\"sky_shop_0a\"");
        for bad in ["postgres", "sky_\"; DROP", "sky_A", "", &format!("sky_{}", "a".repeat(60))] {
            assert!(quoted(bad).is_err(), "{bad}");
        }
    }
}
