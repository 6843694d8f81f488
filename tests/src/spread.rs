//! A platform as three processes ([`Apart`] says which roles go together), each in a network namespace of its own, over a
//! PostgreSQL, a Redis and an S3 server. Each reaches its neighbours through relays that a test can cut.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use skylift_peers::{FakeS3, Postgres, Redis};

use crate::namespace::Namespace;
use crate::relay::{Relay, Relays, To};
use crate::server::Server;
use crate::skip;

/// The port of each process that listens; each has addresses of its own.
pub const PORT: u16 = 8080;

/// The stores that all processes use.
pub struct SharedStores {
    pub postgres: PathBuf,
    pub redis: SocketAddr,
    pub s3: SocketAddr,
    pub bucket: String,
    /// What is put before all names in Redis and in the bucket.
    pub prefix: String,
}

/// Stores of one test, which it may stop and start.
pub struct OwnStores {
    pub postgres: Postgres,
    pub redis: Redis,
    pub s3: FakeS3,
}

impl OwnStores {
    /// Starts them; `None`, and said so, where this machine cannot run three processes over them.
    pub async fn start(test: &str) -> Option<Self> {
        if !skip::unless_namespaces(test) {
            return None;
        }
        Some(Self { postgres: Postgres::start()?, redis: Redis::start().await?, s3: FakeS3::start().await })
    }

    /// Settings that name them, for a process in no namespace.
    pub fn settings(&self) -> String {
        let (redis, s3, bucket) = (self.redis.url(), self.s3.endpoint(), FakeS3::BUCKET);
        format!(
            "[store]\nurl = \"{}\"\n[bus]\nurl = \"{redis}\"\nprefix = \"own\"\n[blob.s3]\nendpoint = \"{s3}\"\n\
             bucket = \"{bucket}\"\nprefix = \"own/\"\naccess_key_id = \"test-key\"\nsecret_access_key = \"test-secret\"\n",
            self.postgres.url()
        )
    }

    pub fn shared(&self) -> SharedStores {
        let place = |url: &str| url.rsplit('/').next().and_then(|place| place.parse().ok()).expect("an address");
        SharedStores {
            postgres: self.postgres.socket(),
            redis: place(&self.redis.url()),
            s3: place(&self.s3.endpoint()),
            bucket: FakeS3::BUCKET.to_owned(),
            prefix: "own".to_owned(),
        }
    }
}

/// Which roles go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// The edge alone, as for sites: api with upload, build with deploy, edge.
    Sites,
    /// The edge with those who run instances, whom it must be beside: api with upload, build, edge with deploy and work.
    Apps,
}

impl Apart {
    /// What `SKYLIFT_TEST_ROLES` says: `three` for [`Self::Sites`], `apps` for [`Self::Apps`].
    ///
    /// # Panics
    /// Where it says something else.
    pub fn of_the_run() -> Option<Self> {
        match std::env::var("SKYLIFT_TEST_ROLES").ok()?.as_str() {
            "three" => Some(Self::Sites),
            "apps" => Some(Self::Apps),
            other => panic!("SKYLIFT_TEST_ROLES={other}: there are `three` and `apps`"),
        }
    }

    /// The roles of those who build, and of the edge.
    const fn roles(self) -> [&'static str; 2] {
        match self {
            Self::Sites => ["build,deploy", "edge"],
            Self::Apps => ["build", "edge,deploy,work"],
        }
    }
}

/// Three processes' places.
pub struct Spread {
    pub edge: Place,
    pub api: Place,
    pub build: Place,
    /// From the edge to the API.
    pub edge_to_api: Relay,
    _relays: Relays,
}

/// Where one process runs, and its ways to the stores.
pub struct Place {
    pub namespace: Namespace,
    pub postgres: Relay,
    pub redis: Relay,
    pub s3: Relay,
}

impl Place {
    fn new(relays: &Relays, stores: &SharedStores) -> Self {
        let namespace = Namespace::new();
        let here = namespace.here;
        Self {
            postgres: relays.relay(here, To::Socket(stores.postgres.clone())),
            redis: relays.relay(here, To::Tcp(stores.redis)),
            s3: relays.relay(here, To::Tcp(stores.s3)),
            namespace,
        }
    }

    /// Cuts every way to the stores.
    pub fn cut(&self) {
        for way in [&self.postgres, &self.redis, &self.s3] {
            way.cut();
        }
    }

    /// Mends them.
    pub fn mend(&self) {
        for way in [&self.postgres, &self.redis, &self.s3] {
            way.mend();
        }
    }

    /// Where this process listens: the builder for questions about itself.
    pub fn listens(&self) -> SocketAddr {
        (self.namespace.there, PORT).into()
    }

    fn settings(&self, stores: &SharedStores) -> String {
        let (postgres, redis, s3) = (self.postgres.address, self.redis.address, self.s3.address);
        let SharedStores { bucket, prefix, .. } = stores;
        format!(
            r#"
[store]
url = "postgres://postgres@{postgres}/postgres"

[bus]
url = "redis://{redis}"
prefix = "{prefix}"

[blob.s3]
endpoint = "http://{s3}"
allow_http = true
bucket = "{bucket}"
prefix = "{prefix}/"
access_key_id = "test-key"
secret_access_key = "test-secret"
"#
        )
    }
}

impl Spread {
    pub fn new(stores: &SharedStores) -> Self {
        let relays = Relays::new();
        let [edge, api, build] = [(); 3].map(|()| Place::new(&relays, stores));
        let edge_to_api = relays.relay(edge.namespace.here, To::Tcp(api.listens()));
        Self { edge, api, build, edge_to_api, _relays: relays }
    }

    /// The processes, in the order in which they start: the first one makes the platform's secrets.
    pub(crate) fn servers(&self, home: &Path, config: &str, stores: &SharedStores, apart: Apart) -> Vec<Server> {
        let of = |name: &str, roles: &str, place: &Place| {
            // What is above all tables, then the test's own settings, then the stores.
            let edge = format!(
                "[edge]\napi = \"{}\"\ntrusted_proxies = [\"{}\"]\n",
                self.edge_to_api.address, self.api.namespace.here
            );
            let config = match config.contains("[edge]\n") {
                true => config.replace("[edge]\n", &edge),
                false => format!("{config}\n{edge}"),
            };
            let above = format!("public_url = \"http://localhost:{PORT}\"\n");
            let file = home.join(format!("{name}.toml"));
            fs::write(&file, format!("{above}{config}\n{}", place.settings(stores))).unwrap();
            let key = home.join("data/master-key").display().to_string();
            let data = home.join(if name == "api" { "data" } else { name });
            let mut server = Server::new(&["serve", "--roles", roles], data, file);
            server.before = place.namespace.before().to_vec();
            server.listen = Some(place.listens());
            if name != "api" {
                server.environment.push(("SKYLIFT_MASTER_KEY_FILE".to_owned(), key));
            }
            server
        };
        let [build, edge] = apart.roles();
        vec![of("api", "api,upload", &self.api), of("build", build, &self.build), of("edge", edge, &self.edge)]
    }
}

impl SharedStores {
    /// Those that `scripts/with-stores.sh` started, and a PostgreSQL of the test's own.
    pub(crate) fn of_the_run(home: &Path, postgres: &Postgres) -> Self {
        let place = |name: &str, scheme: &str| {
            let url = std::env::var(name).expect("started by scripts/with-stores.sh");
            url.strip_prefix(scheme).and_then(|place| place.parse().ok()).expect("an address")
        };
        Self {
            postgres: postgres.socket(),
            redis: place("SKYLIFT_TEST_REDIS", "redis://"),
            s3: place("SKYLIFT_TEST_S3", "http://"),
            bucket: "skylift".to_owned(),
            prefix: crate::stores::own_prefix(home),
        }
    }
}
