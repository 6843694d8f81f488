//! Making a platform: in one process or several, with its rows here or there; where it runs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use skylift_peers::Postgres;
use tempfile::TempDir;

use super::{Platform, STORE_URL};
use crate::executable;
use crate::server::Server;
use crate::skip;
use crate::spread::{Apart, SharedStores, Spread};

/// The user and the group of that name.
const NOBODY: u32 = 65_534;

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

    /// Starts a platform that is not root but the user `nobody`, with the rows in its folder. Root only.
    pub async fn of_nobody(config: &str) -> Self {
        let mut platform = Self::prepared(config);
        let home = platform.home.path().to_owned();
        // Where `nobody` may read it: what was built may lie below a home that is closed to others.
        let copy = home.join("skylift");
        fs::copy(executable::path(), &copy).unwrap();
        for path in fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).chain([home]) {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let words = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        for server in &mut platform.servers {
            server.executable = Some(copy.clone());
            server.before = words.map(str::to_owned).to_vec();
        }
        platform.up().await;
        platform
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
        Self::prepared_roles("build,deploy", url, config, key)
    }

    /// One more process with these roles, which answers only as an edge alone, over stores that the settings name; not started yet.
    pub fn prepared_roles(roles: &str, url: String, config: &str, key: &Path) -> Self {
        let mut platform = Self::prepared_on(url, config);
        platform.set_environment("SKYLIFT_MASTER_KEY_FILE", key.to_str().unwrap());
        for server in &mut platform.servers {
            server.words = ["serve", "--roles", roles].map(str::to_owned).to_vec();
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
        let mut server = Server::new(&["up"], data.clone(), file);
        server.environment.extend(rows.iter().map(|rows| (STORE_URL.to_owned(), rows.url())));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, skylift_peers::free_port()));
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
}
