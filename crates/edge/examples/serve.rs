//! An edge with made-up apps, to be measured: the whole request path, without builds, API and store.
//!
//! `serve FOLDER PORT APPS PATHS`: `APPS` apps named `app-0`, `app-1`, …, each with `PATHS` files of 1 KiB named
//! `f0.txt`, `f1.txt`, …; `app-0` also has `k1.bin`, `k100.bin` and `m10.bin` (1 KiB, 100 KiB, 10 MiB). The same files lie in
//! `FOLDER/www` for a peer. The app `ruled` has `k1.bin`, too, with redirects and header fields of its own. With `INSTANCES` in the environment, addresses with commas between them, there is an app `program`, too, whose
//! instances listen there. Log lines go to standard error.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be set up has failed")]
#![expect(clippy::print_stdout, reason = "scripts wait for the line that says it is ready")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Response;
use skylift_blob::Blobs;
use skylift_bus::Bus;
use skylift_edge::{
    AccessLog, AccessStyle, Edge, EdgeBody, EdgeConfig, InstanceFuture, Instances, Metrics, Rate, Rates, RouteSource,
    SourceFuture, Stores,
};
use skylift_model::route::{AppRoutes, RoutedDeployment, RoutedInstance};
use skylift_model::site::{Asset, Site};
use skylift_model::{AppName, DeploymentId, DeploymentState, Digest, InstanceId, Timestamp};
use skylift_rules::Sources;
use tokio::net::TcpStream;

/// What the files of `ruled` say.
const REDIRECTS: &[u8] = b"/home / 301\n/blog/* /news/:splat 301\n/store/:id /products/:id 302\n/* /index.html 200\n";
const HEADERS: &[u8] = b"/*\n  Content-Security-Policy: default-src 'self'\n  Permissions-Policy: camera=()\n\
    /assets/*\n  Cache-Control: public, max-age=31536000, immutable\n/*.bin\n  Access-Control-Allow-Origin: *\n";

struct Fixed(Vec<AppRoutes>);

impl RouteSource for Fixed {
    fn all(&self) -> SourceFuture<'_, Vec<AppRoutes>> {
        Box::pin(async { Ok(self.0.clone()) })
    }

    fn app<'s>(&'s self, app: &'s AppName) -> SourceFuture<'s, Option<AppRoutes>> {
        Box::pin(async move { Ok(self.0.iter().find(|routes| routes.app == *app).cloned()) })
    }

    fn state<'s>(&'s self, _: &'s DeploymentId) -> SourceFuture<'s, Option<DeploymentState>> {
        Box::pin(async { Ok(None) })
    }

    fn lost(&self, _: Vec<AppName>) -> SourceFuture<'_, Vec<AppName>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn origin(&self) -> SourceFuture<'_, String> {
        Box::pin(async { Ok("fixed".to_owned()) })
    }
}

/// Where the instances of `program` listen. A worker would hand over a connection in the instance's own network; from there on both
/// are connections of the loopback device.
struct Reach(HashMap<InstanceId, SocketAddr>);

impl Reach {
    fn from_environment() -> Self {
        let listed = std::env::var("INSTANCES").unwrap_or_default();
        let addresses = listed.split(',').filter(|one| !one.is_empty()).map(|one| one.parse().unwrap());
        let id = |number| InstanceId::new(Timestamp::from_millis(1), number);
        Self((0..).zip(addresses).map(|(number, address)| (id(number), address)).collect())
    }

    fn routes(&self) -> AppRoutes {
        let deployment = DeploymentId::new(Timestamp::from_millis(i64::from(u32::MAX)), 0);
        let mut routed = RoutedDeployment::new(deployment.clone(), Digest::of(b"a program"));
        routed.runs = true;
        let instance = |id: &InstanceId| RoutedInstance {
            id: id.clone(),
            deployment: deployment.clone(),
            node: "here".to_owned(),
            serving: true,
            draining: false,
            unhealthy: false,
        };
        let instances = self.0.keys().map(instance).collect();
        routes_of("program".parse().unwrap(), deployment, routed, instances)
    }
}

impl Instances for Reach {
    fn connect<'i>(&'i self, instance: &'i InstanceId, _: &'i str) -> InstanceFuture<'i> {
        Box::pin(async {
            let stream = TcpStream::connect(self.0.get(instance).ok_or(std::io::ErrorKind::NotFound)?).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, port, apps, paths] = &arguments[..] else { panic!("serve FOLDER PORT APPS PATHS") };
    let folder = PathBuf::from(folder);
    let (port, apps, paths): (u16, u64, u64) = (port.parse().unwrap(), apps.parse().unwrap(), paths.parse().unwrap());
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(serve(&folder, port, apps, paths));
}

async fn serve(folder: &Path, port: u16, apps: u64, paths: u64) {
    let blobs = Blobs::open(&folder.join("blobs")).unwrap();
    let bus = Bus::in_process();
    let reach = Reach::from_environment();
    let program = Some(reach.routes()).filter(|routes| !routes.instances.is_empty());
    let ruled = std::iter::once(make_ruled(folder, apps));
    let routes = (0..apps).map(|app| make_app(folder, app, paths)).chain(ruled).chain(program).collect();
    let routes = Arc::new(Fixed(routes));
    let stores = Stores { blobs, bus, routes, instances: Arc::new(reach) };
    let listen = ([127, 0, 0, 1], port).into();
    let mut config = EdgeConfig::new(listen, "localhost", folder.join("routes.json"));
    if let Ok(bytes) = std::env::var("CACHE_BYTES") {
        config.cache_bytes = bytes.parse().unwrap();
    }
    config.limits.connections_max = 16_000;
    config.limits.connections_per_client_max = 16_000;
    // Evaluated for every request, and never reached.
    let much = Some(Rate { per_second: 10_000_000, burst: 10_000_000 });
    config.rates = Rates { client: much, app: much };
    config.access = AccessLog::to(std::io::stderr(), AccessStyle::Json);
    let control = Arc::new(|_, _, _| -> skylift_edge::ControlPlaneFuture {
        Box::pin(async { Response::new(EdgeBody::empty()) })
    });
    let edge = Edge::bind(config, stores, control, Metrics::default()).await.unwrap();
    println!("ready {}", edge.local_addr());
    edge.run(std::future::pending(), std::future::pending()).await;
}

fn make_app(folder: &Path, app: u64, paths: u64) -> AppRoutes {
    let mut site = Site::default();
    let mut add = |path: String, bytes: Vec<u8>| {
        let peer = folder.join("www").join(format!("app-{app}")).join(&path);
        let sha256 = store(folder, &bytes);
        if app == 0 && !peer.exists() {
            std::fs::create_dir_all(peer.parent().unwrap()).unwrap();
            std::fs::write(&peer, &bytes).unwrap();
        }
        site.files.insert(
            path.parse().unwrap(),
            Asset { sha256, size: bytes.len() as u64, variants: vec![], immutable: None },
        );
    };
    for path in 0..paths {
        add(format!("f{path}.txt"), content(app * paths + path, 1 << 10));
    }
    if app == 0 {
        add("k1.bin".into(), content(1 << 40, 1 << 10));
        add("k100.bin".into(), content(2 << 40, 100 << 10));
        add("m10.bin".into(), content(3 << 40, 10 << 20));
    }
    routed(folder, &format!("app-{app}"), app, &site)
}

/// The app with rules; `number` is no other app's.
fn make_ruled(folder: &Path, number: u64) -> AppRoutes {
    let sources = Sources { redirects: Some(REDIRECTS), headers: Some(HEADERS), ..Sources::default() };
    let mut site = Site { rules: skylift_rules::read(&sources).rules, ..Site::default() };
    let bytes = content(1 << 40, 1 << 10);
    let (sha256, size) = (store(folder, &bytes), bytes.len() as u64);
    site.files.insert("k1.bin".parse().unwrap(), Asset { sha256, size, variants: vec![], immutable: None });
    routed(folder, "ruled", number, &site)
}

fn routed(folder: &Path, app: &str, number: u64, site: &Site) -> AppRoutes {
    let artifact = store(folder, &serde_json::to_vec(site).unwrap());
    let id = DeploymentId::new(Timestamp::from_millis(i64::try_from(number).unwrap()), 0);
    routes_of(app.parse().unwrap(), id.clone(), RoutedDeployment::new(id, artifact), Vec::new())
}

fn routes_of(app: AppName, live: DeploymentId, routed: RoutedDeployment, instances: Vec<RoutedInstance>) -> AppRoutes {
    AppRoutes {
        app,
        generation: 1,
        live: Some(live),
        deployments: vec![routed],
        instances,
        stopped: false,
        share: None,
        net_in: Vec::new(),
    }
}

/// Bytes that no other number has.
fn content(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = format!("{number:016x}").into_bytes();
    bytes.resize(length, b'x');
    bytes
}

/// Puts bytes where the blob store has them, without waiting for the disk: a million syncs would take an hour.
fn store(folder: &Path, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    let name = digest.to_string();
    let path = folder.join("blobs/sha256").join(&name[..2]).join(&name);
    if !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    digest
}
