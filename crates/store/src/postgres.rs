//! A PostgreSQL server: its address, and how a connection to it is made.
//!
//! The address may hold a password: it is never shown, whatever fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::StoreError;

/// How long making one connection may take, until it can be used.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long callers wait for a server that cannot be reached, before they are told.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The same, for one that nobody has reached yet: it is not known to be coming back, and who starts without it has other work.
const PATIENCE_UNSEEN: Duration = Duration::from_secs(1);

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    /// Whether it is worth waiting for: it has been reached, or whoever starts cannot do without it.
    awaited: Arc<AtomicBool>,
    /// Whether nobody else may use the database meanwhile.
    pub(crate) alone: bool,
}

impl Server {
    /// From an address as PostgreSQL's own programs take it: `postgres://user:password@host:port/database?…`.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        if url.contains("sslmode=verify") {
            return Err(unencrypted());
        }
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            // Of the parser's error only what is not from the address.
            let _ = error;
            StoreError::Address("write it as postgres://user:password@host:port/database".to_owned())
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(unencrypted());
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(StoreError::Address("it names no host".to_owned()));
        }
        if config.get_application_name().is_none() {
            config.application_name("skylift");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        config
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        Ok(Self { config, awaited: Arc::new(AtomicBool::new(true)), alone: false })
    }

    /// The same for one process alone.
    pub(crate) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// The same for a process that has work to do until it is reached for the first time.
    pub(crate) fn later(self) -> Self {
        Self { awaited: Arc::default(), ..self }
    }

    /// How long to wait for it while it cannot be reached.
    pub(crate) fn patience(&self) -> Duration {
        if self.awaited.load(Ordering::Relaxed) { PATIENCE } else { PATIENCE_UNSEEN }
    }

    /// Another database of the same server.
    pub(crate) fn other(&self, database: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(database);
        other
    }

    /// Hosts and database, for people: without user and password.
    pub(crate) fn shown(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        format!(
            "PostgreSQL at {}, database {}",
            hosts.join(", "),
            self.config.get_dbname().unwrap_or("of the user's name")
        )
    }

    /// Connects. The connection is driven by a task of the current runtime.
    pub(crate) async fn connect(&self) -> Result<Client, StoreError> {
        let (client, connection) = self.config.connect(NoTls).await?;
        self.awaited.store(true, Ordering::Relaxed);
        tokio::spawn(async move {
            // How a connection ends is told by the statement that waits on it.
            let _ = connection.await;
        });
        Ok(client)
    }
}

/// Who asks for encryption must not get a connection without.
fn unencrypted() -> StoreError {
    StoreError::Address(
        "it asks for TLS, which is not spoken yet; use a socket, or a tunnel and sslmode=disable".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_encryption_gets_no_connection_without() {
        for asked in ["require", "verify-ca", "verify-full"] {
            let refused = Server::parse(&format!("postgres://me@db/rows?sslmode={asked}")).err().unwrap().to_string();
            assert!(refused.contains("asks for TLS"), "{refused}");
        }
        assert!(Server::parse("postgres://me@db/rows?sslmode=disable").is_ok());
    }

    #[test]
    fn neither_what_is_shown_nor_a_mistake_tells_the_password() {
        let server = Server::parse("postgres://me:hunter2@db.example:5433/skylift").unwrap();
        assert_eq!(server.shown(), "PostgreSQL at db.example, database skylift");
        for wrong in ["postgres://me:hunter2@db.example:port/x", "postgres://me:hunter2@h/x?hunter2=1", "hunter2"] {
            let error = Server::parse(wrong).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
