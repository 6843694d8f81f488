//! A small language for tests: `server().app("hello", site().file("index.html", "hi")).start().await`.

mod client;
pub(crate) mod cores;
mod dice;
pub(crate) mod http2;
mod memory;
pub(crate) mod origin;
mod reach;
mod source;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use skylift_blob::Blobs;
use skylift_bus::{Bus, Message, Received};
use skylift_edge::{Applied, ControlPlane, Edge, EdgeBody, EdgeConfig, Metrics, OwnName, StickyKey, Stores};
use skylift_model::program::Protocol;
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::site::{Asset, Compat, Encoding, Site, SiteSettings, Variant};
use skylift_model::{AppName, DeploymentId, Digest, Timestamp};
use skylift_rules::{Dialect, Sources};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use client::{Answer, Client, narrow};
pub(crate) use dice::{Dice, count};
pub(crate) use memory::resident_bytes;
pub(crate) use reach::instance;
pub(crate) use source::FakeSource;
pub(crate) use watch::Watch;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing is heard before it is asked once more.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A site to be deployed.
#[derive(Clone, Default)]
pub(crate) struct SiteSpec {
    files: Vec<(String, Vec<u8>)>,
    variants: Vec<(String, Encoding, Vec<u8>)>,
    settings: SiteSettings,
    redirects: String,
    headers: String,
}

pub(crate) fn site() -> SiteSpec {
    SiteSpec::default()
}

impl SiteSpec {
    pub(crate) fn file(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.push((path.into(), bytes.as_ref().to_vec()));
        self
    }

    pub(crate) fn variant(mut self, path: &str, encoding: Encoding, bytes: impl AsRef<[u8]>) -> Self {
        self.variants.push((path.into(), encoding, bytes.as_ref().to_vec()));
        self
    }

    /// The lines of a `_redirects`.
    pub(crate) fn redirects(mut self, lines: &str) -> Self {
        self.redirects = lines.to_owned();
        self
    }

    /// The lines of a `_headers`.
    pub(crate) fn headers(mut self, lines: &str) -> Self {
        self.headers = lines.to_owned();
        self
    }

    /// Answers of other hosts may be kept.
    pub(crate) fn keeping(mut self) -> Self {
        self.settings.cache = true;
        self
    }

    pub(crate) fn spa(mut self) -> Self {
        self.settings.spa = true;
        self
    }

    pub(crate) fn clean_urls(mut self) -> Self {
        self.settings.clean_urls = true;
        self
    }

    /// Paths and rules as on Cloudflare Pages.
    pub(crate) fn cloudflare(mut self) -> Self {
        self.settings.compat = Compat::Cloudflare;
        self
    }

    /// Stores every byte and the manifest; returns the artifact.
    pub(crate) async fn store(&self, blobs: &Blobs) -> Digest {
        let (redirects, headers) = (Some(self.redirects.as_bytes()), Some(self.headers.as_bytes()));
        let dialect = match self.settings.compat {
            Compat::Skylift => Dialect::Netlify,
            Compat::Cloudflare => Dialect::Cloudflare,
        };
        let sources = Sources { dialect, redirects, headers, ..Sources::default() };
        let rules = skylift_rules::read(&sources).rules;
        let mut manifest = Site { settings: self.settings, rules, ..Site::default() };
        for (path, bytes) in &self.files {
            let mut asset = Asset {
                sha256: blobs.put(bytes.clone()).await.unwrap(),
                size: bytes.len() as u64,
                variants: vec![],
                immutable: None,
            };
            for (_, encoding, bytes) in self.variants.iter().filter(|(of, ..)| of == path) {
                let sha256 = blobs.put(bytes.clone()).await.unwrap();
                asset.variants.push(Variant { encoding: *encoding, sha256, size: bytes.len() as u64 });
            }
            manifest.files.insert(path.parse().unwrap(), asset);
        }
        blobs.put(serde_json::to_vec(&manifest).unwrap()).await.unwrap()
    }
}

/// The `number`th deployment there ever was.
pub(crate) fn id(number: u64) -> DeploymentId {
    DeploymentId::new(Timestamp::from_millis(i64::try_from(number).unwrap()), 0)
}

pub(crate) fn name(app: &str) -> AppName {
    app.parse().unwrap()
}

pub(crate) struct ServerSpec {
    apps: Vec<(String, SiteSpec)>,
    configure: Box<dyn Fn(&mut EdgeConfig) + Send + Sync>,
    folder: TempDir,
    source: Arc<FakeSource>,
    /// Where files are, if not in the folder.
    blobs: Option<Blobs>,
    programs: Vec<(String, Vec<std::net::SocketAddr>)>,
    protocol: Protocol,
    sticky: bool,
}

pub(crate) fn server() -> ServerSpec {
    let folder = tempfile::tempdir().unwrap();
    ServerSpec {
        apps: vec![],
        configure: Box::new(|_| {}),
        folder,
        source: Arc::default(),
        blobs: None,
        programs: vec![],
        protocol: Protocol::Http1,
        sticky: false,
    }
}

/// A running edge.
pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) blobs: Blobs,
    pub(crate) bus: Bus,
    pub(crate) source: Arc<FakeSource>,
    pub(crate) metrics: Metrics,
    pub(crate) applied: Applied,
    pub(crate) folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl ServerSpec {
    /// An app with one deployment, which is live.
    pub(crate) fn app(mut self, app: &str, site: SiteSpec) -> Self {
        self.apps.push((app.into(), site));
        self
    }

    /// An app that runs, with an instance at each address.
    pub(crate) fn program(mut self, app: &str, instances: &[std::net::SocketAddr]) -> Self {
        self.programs.push((app.into(), instances.to_vec()));
        self
    }

    /// All apps that run speak this.
    pub(crate) fn speaking(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Visitors of apps that run stay with the instance that answered first.
    pub(crate) fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    pub(crate) fn configure(mut self, configure: impl Fn(&mut EdgeConfig) + Send + Sync + 'static) -> Self {
        self.configure = Box::new(configure);
        self
    }

    /// Starts on what another server left behind.
    pub(crate) fn on(mut self, folder: TempDir, source: Arc<FakeSource>) -> Self {
        self.folder = folder;
        self.source = source;
        self
    }

    /// With files that lie elsewhere.
    pub(crate) fn blobs(mut self, blobs: &Blobs) -> Self {
        self.blobs = Some(blobs.clone());
        self
    }

    pub(crate) async fn start(self) -> Server {
        let own = || Blobs::open(&self.folder.path().join("blobs")).unwrap();
        let blobs = self.blobs.clone().unwrap_or_else(own);
        for (number, (app, site)) in (1..).zip(&self.apps) {
            let artifact = site.store(&blobs).await;
            let deployments = vec![RoutedDeployment::new(id(number), artifact)];
            self.source.set(AppRoutes {
                app: name(app),
                generation: 1,
                live: Some(id(number)),
                deployments,
                instances: Vec::new(),
                stopped: false,
                share: None,
                net_in: Vec::new(),
            });
        }
        let mut instances = reach::Reach::default();
        for (number, (app, addresses)) in (100..).zip(&self.programs) {
            let mut routes = instances.routes(&name(app), id(number), addresses);
            routes.deployments[0].protocol = self.protocol;
            routes.deployments[0].sticky = self.sticky;
            self.source.set(routes);
        }
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = EdgeConfig::new(listen, "localhost", self.folder.path().join("routes"));
        let _ = config.sticky_key.set(StickyKey::new(&[7; 32]));
        (self.configure)(&mut config);
        let (bus, metrics) = (Bus::in_process(), Metrics::default());
        let stores = Stores {
            blobs: blobs.clone(),
            bus: bus.clone(),
            routes: self.source.clone(),
            instances: Arc::new(instances),
        };
        let edge = Edge::bind(config, stores, control_plane(), metrics.clone()).await.unwrap();
        let (address, applied) = (edge.local_addr(), edge.applied());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(edge.run(std::future::pending(), async { drop(stopped.await) }));
        let (source, folder) = (self.source, self.folder);
        Server { address, blobs, bus, source, metrics, applied, folder, stop: Some(stop), task }
    }
}

/// A control plane that tells what it was given.
fn control_plane() -> ControlPlane {
    Arc::new(|request, client, id| {
        Box::pin(async move {
            let headers: Vec<String> = request.headers().keys().map(|name| name.to_string()).collect();
            let path = request.uri().path();
            let own = request.extensions().get().map(|OwnName(own)| format!("({own})")).unwrap_or_default();
            assert!(path != "/panic", "asked to");
            if path == "/read" {
                let read = http_body_util::BodyExt::collect(request.into_body()).await;
                let said = read.map_or("cut".to_owned(), |body| body.to_bytes().len().to_string());
                return Response::new(EdgeBody::from(format!("read {said}")));
            }
            Response::new(EdgeBody::from(format!("control{own} {path} {} {id} {}", client.0.ip(), headers.join(","))))
        })
    })
}

impl Server {
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A client with another address of this machine.
    pub(crate) async fn client_from(&self, from: [u8; 4]) -> Client {
        Client::connect_from(from, self.address).await
    }

    pub(crate) async fn get(&self, host: &str, path: &str) -> Answer {
        self.get_with(host, path, &[]).await
    }

    pub(crate) async fn get_with(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.client().await.ask("GET", host, path, headers).await
    }

    pub(crate) async fn head(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.client().await.ask("HEAD", host, path, headers).await
    }

    /// Sends exactly these bytes, then reads one answer.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut client = self.client().await;
        client.write(bytes.as_ref()).await;
        client.read("GET").await
    }

    /// Makes a site live as deployment `number` and waits until the edge says that it serves it.
    pub(crate) async fn deploy(&self, app: &str, number: u64, site: SiteSpec) {
        let artifact = site.store(&self.blobs).await;
        let routes = self.source.go_live(&name(app), RoutedDeployment::new(id(number), artifact));
        self.change(&routes).await;
    }

    /// Tells of a change and waits until it is applied.
    pub(crate) async fn change(&self, routes: &AppRoutes) {
        let mut messages = self.bus.subscribe();
        self.bus.publish(Message::RoutesChanged(routes.app.clone()));
        let wanted = Message::RoutesApplied(routes.app.clone(), routes.generation, "edge".to_owned());
        tokio::time::timeout(PATIENCE, messages.wait_for(|message| *message == wanted)).await.expect("applied in time");
    }

    /// Tells of a change and waits until the edge has read it, whatever came of it.
    pub(crate) async fn settle(&self, app: &str) {
        let mut messages = self.bus.subscribe();
        let ask = || self.bus.publish(Message::RoutesChanged(name(app)));
        ask();
        let read = async {
            loop {
                match tokio::time::timeout(ASK_AGAIN, messages.next()).await {
                    Ok(Received::Message(Message::RoutesApplied(other, ..))) if other == name(app) => return,
                    Ok(_) => {}
                    // The question was among what the edge missed: it has read everything, and tells what was new.
                    Err(_) => ask(),
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("read in time");
    }

    pub(crate) fn metrics_text(&self) -> String {
        let mut text = String::new();
        self.metrics.render(&mut text);
        text
    }

    /// The file of a blob, to be damaged.
    pub(crate) fn blob_file(&self, digest: &Digest) -> std::path::PathBuf {
        let name = digest.to_string();
        self.folder.path().join("blobs/sha256").join(&name[..2]).join(name)
    }

    /// Begins to stop.
    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops, and leaves what is on disk.
    pub(crate) async fn stop(mut self) -> (TempDir, Arc<FakeSource>) {
        self.begin_stop();
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("stopped in time").unwrap();
        (self.folder, self.source)
    }
}
