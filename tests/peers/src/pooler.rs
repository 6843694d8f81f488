//! PgBouncer, which keeps connections to a PostgreSQL for others.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::postgres::{Postgres, other_user, own, run_as};
use crate::process::Process;
use crate::skipped;

/// A pooler in front of one server, on a socket of its own.
pub struct Pooler {
    folder: TempDir,
    _process: Process,
}

impl Pooler {
    /// Starts one that keeps a connection for a `session` or for a `transaction`; `None` where it is not installed.
    pub async fn start(server: &Postgres, mode: &str) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(Path::new).into_iter().find(|it| it.exists());
        let Some(program) = program else {
            skipped("pgbouncer");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pool").tempdir().unwrap();
        let (own_folder, behind) = (folder.path().display(), server.socket().parent()?.display().to_string());
        let settings = format!(
            "[databases]\npostgres = host={behind} user=postgres\n[pgbouncer]\nunix_socket_dir = {own_folder}\n\
             listen_addr =\nlisten_port = 5432\nauth_type = any\nadmin_users = postgres\npool_mode = {mode}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let user = other_user();
        own(folder.path(), user);
        own(&file, user);
        let mut command: Command = run_as(user, program);
        let mut process = Process::start(command.arg("-q").arg(&file));
        let socket = folder.path().join(".s.PGSQL.5432");
        process.until("pgbouncer", async || UnixStream::connect(&socket).await.is_ok()).await;
        Some(Self { folder, _process: process })
    }

    /// The address of the database behind it.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address at which it takes commands.
    pub fn admin_url(&self) -> String {
        self.url_of("pgbouncer")
    }

    fn url_of(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/{database}")
    }
}
