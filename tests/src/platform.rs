//! One platform: the real executable, with a data folder of its own, on a port of its own. With
//! `SKYLIFT_TEST_STORE=postgres` its rows are on a server of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use skylift_client::Client;
use skylift_peers::Postgres;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::app::App;
use crate::cli::Ran;
use crate::executable;
use crate::http::{Request, Response};
use crate::wait::PATIENCE;

/// How long the platform may take to end once it is told to: what the contract says.
pub const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A running platform; killed when it is dropped.
pub struct Platform {
    home: TempDir,
    data: PathBuf,
    port: u16,
    /// What it printed when it was ready.
    pub ready: String,
    child: Option<Child>,
    environment: Vec<(String, String)>,
    /// Where its rows are, if not in the data folder.
    rows: Option<Postgres>,
}

impl Platform {
    /// Starts a platform with its defaults.
    pub async fn start() -> Self {
        Self::configured("").await
    }

    /// Starts a platform with settings of its own.
    pub async fn configured(config: &str) -> Self {
        let home = TempDir::with_prefix("skylift-e2e-").unwrap();
        let data = home.path().join("data");
        Self::in_folder(home, data, config).await
    }

    /// A platform with settings of its own that is not started yet.
    pub fn prepared(config: &str) -> Self {
        let home = TempDir::with_prefix("skylift-e2e-").unwrap();
        let data = home.path().join("data");
        Self::unstarted(home, data, config)
    }

    /// Starts a platform whose data lies somewhere special.
    pub async fn in_folder(home: TempDir, data: PathBuf, config: &str) -> Self {
        let mut platform = Self::unstarted(home, data, config);
        platform.up().await;
        platform
    }

    fn unstarted(home: TempDir, data: PathBuf, config: &str) -> Self {
        let config = format!("{config}\n{}", crate::stores::settings(home.path()));
        fs::write(home.path().join("config.toml"), config).unwrap();
        let on_server = std::env::var_os("SKYLIFT_TEST_STORE").is_some_and(|store| store == "postgres");
        let rows = on_server.then(|| Postgres::start().expect("PostgreSQL is installed"));
        Self { home, data, port: 0, ready: String::new(), child: None, environment: Vec::new(), rows }
    }

    /// Adds a variable to the platform's own environment, from the next start on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Takes back what [`Self::set_environment`] added.
    pub fn clear_environment(&mut self) {
        self.environment.clear();
    }

    /// Starts it, where it does not run, and waits until it is ready.
    pub async fn up(&mut self) {
        assert!(self.try_up().await, "it did not start: {}", self.log());
    }

    /// Like [`Self::up`], for one that may die before it is ready. Whether it is ready.
    pub async fn try_up(&mut self) -> bool {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).to_string();
        let mut command = self.command(&["up", "--listen", &listen]);
        command.arg("--config").arg(self.home.path().join("config.toml"));
        command.stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command.envs(self.rows.iter().map(|rows| ("SKYLIFT_STORE_URL", rows.url())));
        let mut child = command.envs(self.environment.iter().cloned()).spawn().expect("start the executable");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("ready in time").unwrap();
        self.child = Some(child);
        let Some(line) = line else { return false };
        let port = line.strip_prefix("ready ").and_then(|url| url.rsplit_once(':')?.1.parse().ok());
        self.port = port.unwrap_or_else(|| panic!("not a line that says ready: {line}"));
        self.ready = line;
        assert_eq!(self.rows.is_none(), self.data.join("skylift.db").exists(), "the rows are where they are to be");
        true
    }

    /// Waits until it has ended by itself.
    pub async fn reap(&mut self) {
        self.ended(STOP_WITHIN).await;
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(STOP_WITHIN).await
    }

    /// Kills it at once.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended(STOP_WITHIN).await;
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
        let pid = self.child.as_ref().and_then(Child::id).expect("it runs");
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    async fn ended(&mut self, within: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let ended = timeout(within, child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it did not end in {within:?}: {}", self.log())).unwrap()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("it runs")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Runs a command of the command line against it.
    pub async fn cli(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ran = timeout(PATIENCE * 5, command.output()).await.expect("the command ends");
        Ran::new(ran.unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(executable::path());
        command.args(arguments).arg("--data").arg(&self.data);
        command.env("XDG_CACHE_HOME", self.home.path().join("cache"));
        command.env("XDG_CONFIG_HOME", self.home.path().join("config"));
        command.env("XDG_STATE_HOME", self.home.path().join("state"));
        for name in ["SKYLIFT_URL", "SKYLIFT_TOKEN"] {
            command.env_remove(name);
        }
        command
    }

    /// Makes an app.
    pub async fn app(&self, name: &str) -> App<'_> {
        let app = App { platform: self, name: name.parse().unwrap() };
        self.client().create_app(&app.name).await.unwrap();
        app
    }

    /// An app that exists.
    pub fn existing(&self, name: &str) -> App<'_> {
        App { platform: self, name: name.parse().unwrap() }
    }

    /// Sends a request to whatever host it names; to the platform itself where it names none.
    pub async fn send(&self, request: Request) -> Response {
        request.send(self.address()).await
    }

    /// Sends a request to the platform itself, with the owner's token.
    pub async fn api(&self, request: Request) -> Response {
        self.send(request.host("localhost").token(&self.token())).await
    }

    /// Gets a page of a host, such as `hello.localhost`.
    pub async fn get(&self, host: &str, path: &str) -> Response {
        self.send(Request::get(path).host(host)).await
    }

    /// A client with the owner's token.
    pub fn client(&self) -> Client {
        Client::new(self.url().parse().unwrap(), Some(&self.token())).unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The owner's token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.data.join("owner-token")).unwrap()
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
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
        // Ended before its folder goes, or it would write there again.
        if let Some(mut child) = self.child.take()
            && let Some(pid) = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
            && child.start_kill().is_ok()
        {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains(r#""target":"access""#)).collect();
            let last = lines.len().saturating_sub(40);
            eprintln!("--- the platform's log, its last lines\n{}", lines[last..].join("\n"));
        }
    }
}

/// Runs the executable without any platform.
pub async fn run(arguments: &[&str]) -> Ran {
    let mut command = Command::new(executable::path());
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["SKYLIFT_URL", "SKYLIFT_TOKEN"] {
        command.env_remove(name);
    }
    Ran::new(timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap())
}
