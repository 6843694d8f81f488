//! One platform: the real executable, with a data folder of its own, on a port of its own. With
//! `SKYLIFT_TEST_STORE=postgres` its rows are on a server of its own; with `SKYLIFT_TEST_ROLES` it is three
//! processes in network namespaces of their own.

mod ask;
mod make;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use skylift_peers::Postgres;
use tempfile::TempDir;

use crate::server::Server;
use crate::spread::Spread;

/// How long the platform may take to end once it is told to: what the contract says.
pub const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Where a platform's environment says that its rows are, if not in the data folder.
const STORE_URL: &str = "SKYLIFT_STORE_URL";

/// A running platform; killed when it is dropped.
pub struct Platform {
    /// One process, or those of [`Spread`]; the last of them is who visitors speak to.
    servers: Vec<Server>,
    /// Where they are, if they are several.
    pub spread: Option<Spread>,
    /// Where its rows are, if not in the data folder.
    pub rows: Option<Postgres>,
    data: PathBuf,
    address: SocketAddr,
    /// What it printed when it was ready.
    pub ready: String,
    environment: Vec<(String, String)>,
    /// The ids and starts of its processes, over all its starts.
    processes: Vec<(u32, u64)>,
    home: TempDir,
}

impl Platform {
    /// Adds a variable to the platform's own environment, from the next start on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Takes back one variable that [`Self::set_environment`] added.
    pub fn drop_environment(&mut self, name: &str) {
        self.environment.retain(|(set, _)| set != name);
    }

    /// Takes back what [`Self::set_environment`] added.
    pub fn clear_environment(&mut self) {
        self.environment.clear();
    }

    /// It is to have these roles alone, from the next start on. Where it listens its settings say, and then [`Self::ready`].
    pub fn set_roles(&mut self, roles: &str) {
        for server in &mut self.servers {
            server.words = ["serve", "--roles", roles].map(str::to_owned).to_vec();
        }
    }

    /// Starts it, where it does not run, and waits until it is ready.
    pub async fn up(&mut self) {
        assert!(self.try_up().await, "it did not start: {}", self.log());
    }

    /// Like [`Self::up`], for one that may die before it is ready. Whether it is ready.
    pub async fn try_up(&mut self) -> bool {
        let log = self.log_file();
        for server in &mut self.servers {
            if server.is_running() {
                continue;
            }
            if self.spread.is_none() && listens(server) {
                server.listen = Some(self.address);
            }
            let started = server.start(&log, &self.environment).await;
            self.processes.extend(server.pid().zip(server.began));
            let Some(line) = started else {
                // It has closed its end; until it is gone, too, the next start would take it for one that runs.
                server.is_gone(STOP_WITHIN).await;
                return false;
            };
            assert!(line.starts_with("ready "), "not a line that says ready: {line}");
            self.ready = line;
        }
        let is_on_server = |server: &Server| server.environment.iter().any(|(name, _)| name == STORE_URL);
        let is_embedded = self.spread.is_none() && !self.servers.iter().any(is_on_server);
        assert_eq!(is_embedded, self.data.join("skylift.db").exists(), "the rows are where they are to be");
        true
    }

    /// Waits until it has ended by itself.
    pub async fn reap(&mut self) {
        self.ended().await;
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Kills it at once.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Kills the one process that has this role; [`Self::up`] starts it again.
    pub async fn kill_role(&mut self, role: &str) {
        let server = self.server(role);
        server.signal(Signal::KILL);
        server.ended(STOP_WITHIN).await.expect("killed");
    }

    /// Sends a signal to the one process that has this role.
    pub fn signal_role(&mut self, role: &str, signal: Signal) {
        self.server(role).signal(signal);
    }

    fn server(&mut self, role: &str) -> &mut Server {
        let has = |server: &Server| server.words.iter().any(|words| words.split(',').any(|word| word == role));
        self.servers.iter_mut().find(|server| has(server)).expect("a process with this role")
    }

    /// Starts another one on the same folder and port that takes over from it. How the old one ended.
    pub async fn take_over(&mut self) -> ExitStatus {
        let [old] = self.servers.as_slice() else { panic!("one process takes over from one") };
        let mut new = Server::new(&["up", "--take-over"], old.data.clone(), old.config.clone());
        new.listen = Some(self.address);
        new.before.clone_from(&old.before);
        new.environment.clone_from(&old.environment);
        let mut old = std::mem::replace(&mut self.servers, vec![new]);
        self.up().await;
        old[0].ended(STOP_WITHIN).await.expect("it has let go of its folder, so it has ended")
    }

    /// Stops it and starts it again on the same port.
    pub async fn restart(&mut self) {
        assert!(self.stop().await.success(), "{}", self.log());
        self.up().await;
    }

    /// Kills it and starts it again on the same port.
    pub async fn crash(&mut self) {
        self.kill().await;
        self.up().await;
    }

    fn signal(&self, signal: Signal) {
        for server in &self.servers {
            server.signal(signal);
        }
    }

    /// How the first of its processes ended that did not end well, else how the last one did.
    async fn ended(&mut self) -> ExitStatus {
        let mut all = Vec::new();
        for at in 0..self.servers.len() {
            let ended = self.servers[at].ended(STOP_WITHIN).await;
            all.push(ended.unwrap_or_else(|| panic!("it did not end in {STOP_WITHIN:?}: {}", self.log())));
        }
        let bad = all.iter().find(|status| !status.success()).or(all.last());
        *bad.expect("at least one process")
    }

    /// Its process id; of several, that of the one visitors speak to.
    pub fn pid(&self) -> u32 {
        self.servers.last().and_then(Server::pid).expect("it runs")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.servers.iter_mut().all(Server::is_running)
    }

    /// What it wrote to its log, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("log")
    }
}

impl Drop for Platform {
    #[expect(clippy::print_stderr, reason = "a failing test is told what the platform said")]
    fn drop(&mut self) {
        self.servers.clear();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains(r#""target":"access""#)).collect();
            let last = lines.len().saturating_sub(40);
            eprintln!("--- the platform's log, its last lines\n{}", lines[last..].join("\n"));
        }
    }
}

/// Whether it is told where to listen: alone, or as an edge.
fn listens(server: &Server) -> bool {
    server.words == ["up"] || server.words == ["serve", "--roles", "edge"]
}
