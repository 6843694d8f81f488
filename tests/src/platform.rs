//! One platform: the real executable, with a data folder of its own, on a port of its own. With
//! `SKYLIFT_TEST_STORE=postgres` its rows are on a server of its own; with `SKYLIFT_TEST_ROLES` it is three
//! processes in network namespaces of their own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use skylift_client::Client;
use skylift_peers::Postgres;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::app::App;
use crate::census::Census;
use crate::cli::Ran;
use crate::executable;
use crate::http::{Request, Response};
use crate::server::Server;
use crate::skip;
use crate::spread::{Apart, SharedStores, Spread};
use crate::wait::PATIENCE;

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

    /// The same, with its rows in a database.
    pub fn prepared_on(url: String, config: &str) -> Self {
        let mut platform = Self::prepared(config);
        for server in &mut platform.servers {
            server.environment.push((STORE_URL.to_owned(), url.clone()));
        }
        platform
    }

    /// One more process that builds and deploys, over stores that the settings name; not started yet.
    pub fn prepared_worker(url: String, config: &str, key: &Path) -> Self {
        let mut platform = Self::prepared_on(url, config);
        platform.set_environment("SKYLIFT_MASTER_KEY_FILE", key.to_str().unwrap());
        for server in &mut platform.servers {
            server.words = ["serve", "--roles", "build,deploy"].map(str::to_owned).to_vec();
        }
        platform
    }

    /// Starts a platform whose data lies somewhere special.
    pub async fn in_folder(home: TempDir, data: PathBuf, config: &str) -> Self {
        let mut platform = Self::unstarted(home, data, config);
        platform.up().await;
        platform
    }

    fn unstarted(home: TempDir, data: PathBuf, config: &str) -> Self {
        let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|set| set == value);
        if let Some(apart) = Apart::of_the_run() {
            assert!(skip::unless_namespaces("three processes"), "SKYLIFT_TEST_ROLES needs network namespaces");
            let rows = Postgres::start().expect("PostgreSQL is installed");
            let stores = SharedStores::of_the_run(home.path(), &rows);
            return Self::spread_over(home, (&stores, apart), Some(rows), config);
        }
        let file = home.path().join("config.toml");
        fs::write(&file, format!("{config}\n{}", crate::stores::settings(home.path()))).unwrap();
        let rows = is("SKYLIFT_TEST_STORE", "postgres").then(|| Postgres::start().expect("PostgreSQL is installed"));
        let server = Server {
            words: vec!["up".to_owned()],
            data: data.clone(),
            config: file,
            before: Vec::new(),
            listen: None,
            environment: rows.iter().map(|rows| (STORE_URL.to_owned(), rows.url())).collect(),
            child: None,
            began: None,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            servers: vec![server],
            spread: None,
            rows,
            data,
            address,
            ready: String::new(),
            environment: vec![],
            processes: vec![],
            home,
        }
    }

    /// Three processes over stores that the test has, not started yet. Root only.
    pub fn spread(stores: &SharedStores, config: &str) -> Self {
        Self::spread_over(TempDir::with_prefix("skylift-e2e-").unwrap(), (stores, Apart::Sites), None, config)
    }

    fn spread_over(
        home: TempDir,
        (stores, apart): (&SharedStores, Apart),
        rows: Option<Postgres>,
        config: &str,
    ) -> Self {
        let spread = Spread::new(stores);
        let servers = spread.servers(home.path(), config, stores, apart);
        let (data, address) = (home.path().join("data"), spread.edge.listens());
        let (ready, environment, processes) = (String::new(), Vec::new(), Vec::new());
        Self { servers, spread: Some(spread), rows, data, address, ready, environment, processes, home }
    }

    /// It is to run behind these words, and to listen there: in a network of its own, where this machine can reach it.
    pub fn put(&mut self, before: Vec<String>, listens: SocketAddr) {
        self.address = listens;
        for server in &mut self.servers {
            server.before.clone_from(&before);
        }
    }

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
            if self.spread.is_none() && server.words == ["up"] {
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
        if self.address.port() == 0 && self.servers.iter().any(|server| server.words == ["up"]) {
            let port = self.ready.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            self.address.set_port(port.unwrap_or_else(|| panic!("no port in: {}", self.ready)));
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
        let new = Server {
            words: vec!["up".to_owned(), "--take-over".to_owned()],
            listen: Some(self.address),
            before: old.before.clone(),
            data: old.data.clone(),
            config: old.config.clone(),
            environment: old.environment.clone(),
            child: None,
            began: None,
        };
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

    /// Runs a command of the command line against it.
    pub async fn cli(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ran = timeout(PATIENCE * 5, command.output()).await.expect("the command ends");
        Ran::new(ran.unwrap())
    }

    /// Begins a command that goes on; what it prints is read while it does.
    pub fn begin_cli(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(executable::path());
        // In front, since everything behind the command of `run` belongs to that.
        command.arg("--data").arg(&self.data).args(arguments);
        command.env("XDG_CACHE_HOME", self.home.path().join("cache"));
        command.env("XDG_CONFIG_HOME", self.home.path().join("config"));
        command.env("XDG_STATE_HOME", self.home.path().join("state"));
        for name in ["SKYLIFT_URL", "SKYLIFT_TOKEN"] {
            command.env_remove(name);
        }
        if !self.address.ip().is_loopback() {
            // What the data folder names is in another network.
            command.env("SKYLIFT_URL", self.url()).env("SKYLIFT_TOKEN", self.token());
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
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The owner's token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.data.join("owner-token")).unwrap()
    }

    /// What of it and of all it started can be seen on this machine.
    pub fn census(&self) -> Census {
        Census::of(self.home.path(), &self.processes)
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
        self.servers.clear();
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
