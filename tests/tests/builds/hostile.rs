//! The install script of a hostile package finds nothing and reaches nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use skylift_tests::{Folder, Platform, projects, skip, wait};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const PROBE: &str = include_str!("probe.js");

/// Something that should never be reached: counts who comes, and answers them.
struct Canary {
    address: SocketAddr,
    reached: Arc<AtomicUsize>,
}

impl Canary {
    /// Listens where a build must not get, on the port that builds may use where this machine allows that.
    async fn on(ip: IpAddr) -> Self {
        let listener = match TcpListener::bind((ip, 80)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((ip, 0)).await.unwrap(),
        };
        let (address, reached) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = reached.clone();
        tokio::spawn(async move {
            while let Ok((mut guest, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _whoever_came_may_be_gone = guest.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            }
        });
        Self { address, reached }
    }

    fn as_target(&self) -> Value {
        json!({ "host": self.address.ip().to_string(), "port": self.address.port() })
    }

    fn times_reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }
}

/// A project with a package whose install script is the probe; its page is the probe's report.
fn hostile_project(probe: &Value) -> Folder {
    let package = json!({ "name": "site", "version": "1.0.0", "dependencies": { "evil": "file:evil" },
        "scripts": { "build": "node build.js" } });
    let evil = json!({ "name": "evil", "version": "1.0.0", "scripts": { "postinstall": "node probe.js" } });
    let build = "const fs = require('fs'); fs.mkdirSync('dist'); fs.copyFileSync('report.txt', 'dist/index.html');";
    Folder::new()
        .file("package.json", package.to_string())
        .file("build.js", build)
        .file("evil/package.json", evil.to_string())
        .file("evil/probe.js", PROBE)
        .file("evil/probe.json", probe.to_string())
}

#[tokio::test]
async fn a_hostile_package_finds_nothing_and_reaches_nothing() {
    if !skip::unless_node("a_hostile_package_finds_nothing_and_reaches_nothing") {
        return;
    }
    let mut platform = Platform::configured("[build]\nconcurrency = 2").await;
    platform.set_environment("PLATFORM_SECRET", "platform-secret-7f3a");
    platform.restart().await;
    let neighbour = platform.app("neighbour").await;
    neighbour.set_env("NEIGHBOUR_SECRET", "neighbour-secret-91bc").await;
    let running = neighbour.begin(&projects::endless("neighbour")).await;
    neighbour.logs_line(&running.id, "started").await;

    let port = u8::try_from(platform.port() % 200).unwrap();
    let loopback = Canary::on(Ipv4Addr::new(127, 66, port, 1).into()).await;
    let own = Canary::on(skip::own_address().unwrap_or(Ipv4Addr::new(127, 66, port, 2).into())).await;
    let master_key = std::fs::read_to_string(platform.data().join("master-key")).unwrap();
    let file = |name: &str| platform.data().join(name).display().to_string();
    let probe = json!({
        "report": "../report.txt",
        "secrets": { "owner token": platform.token(), "master key": master_key, "platform": "platform-secret-7f3a",
            "neighbour": "neighbour-secret-91bc", "passwords": "root:" },
        "files": [file("owner-token"), file("master-key"), "/etc/shadow"],
        "targets": {
            "the platform": { "host": "127.0.0.1", "port": platform.port() },
            "the platform by IPv6": { "host": "::ffff:127.0.0.1", "port": platform.port() },
            "the platform by name": { "host": "localhost", "port": platform.port() },
            "loopback": loopback.as_target(),
            "loopback as a number": { "host": u32::from(Ipv4Addr::LOCALHOST).to_string(), "port": 80 },
            "this host": own.as_target(),
            "any address": { "host": "0.0.0.0", "port": platform.port() },
            "metadata": { "host": "169.254.169.254", "port": 80 },
            "a private network": { "host": "10.0.0.1", "port": 443 },
        },
    });

    // With the defence off: the same probe on this host, as whoever runs the tests.
    let control = hostile_project(&probe);
    let mut probing = Command::new("node");
    probing.arg("evil/probe.js").current_dir(control.path());
    let ran = tokio::task::spawn_blocking(move || probing.status()).await.unwrap().unwrap();
    assert!(ran.success());
    let report = std::fs::read_to_string(control.path().join("report.txt")).unwrap();
    for expected in [
        "owner token in owner-token",
        "master key in master-key",
        "platform in environ",
        "reached the platform",
        "reached loopback",
        "reached this host",
    ] {
        assert!(report.lines().any(|line| line == expected), "control: {expected} in\n{report}");
    }
    let reached = (1, 1);
    let counted = async || ((loopback.times_reached(), own.times_reached()) == reached).then_some(());
    wait::until("control: the canaries counted who came", counted).await;

    let app = platform.app("evil").await;
    let deployment = app.deploy(&hostile_project(&probe)).await;
    let log = app.log(&deployment.id).await;
    assert_eq!(app.get("/").await.brief(), "200 nothing", "{log}");
    assert_eq!((loopback.times_reached(), own.times_reached()), reached, "nobody came");
    assert!(log.contains("169.254.169.254"), "what was refused is told: {log}");
}

#[tokio::test]
async fn a_build_sees_its_own_app_alone() {
    if !skip::unless_node("a_build_sees_its_own_app_alone") {
        return;
    }
    let platform = Platform::start().await;
    let other = platform.app("other").await;
    other.deploy(&projects::node(&projects::page("other-content"))).await;
    let list = format!(
        "const fs = require('fs'); fs.mkdirSync('dist');
        const seen = [], writable = [];
        for (const place of ['/root', '/home', '/srv', '/mnt', '/media', '/tmp', '/cache', '/app', '{}']) {{
          try {{ for (const name of fs.readdirSync(place)) seen.push(place + '/' + name); }} catch {{}}
        }}
        for (const place of ['/', '/usr', '/etc', '/bin', '/run', '/dev', '/proc/sys/kernel', '/sys']) {{
          try {{ fs.writeFileSync(place + '/written', 'x'); writable.push(place); }} catch {{}}
        }}
        fs.writeFileSync('dist/index.html', JSON.stringify({{ seen, writable, uid: process.getuid() }}));",
        platform.data().display()
    );
    let app = platform.app("mine").await;
    app.deploy(&projects::node(&list)).await;
    let seen = app.get("/").await.json();
    assert_eq!(seen["writable"], json!([]), "{seen}");
    assert_ne!(seen["uid"], json!(0));
    let own = ["build.js", "dist", "package.json", "skylift.toml"].map(|name| format!("/app/{name}"));
    let names: Vec<&str> = seen["seen"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let foreign: Vec<_> = names.iter().filter(|name| !own.iter().any(|own| own == **name)).collect();
    assert!(foreign.iter().all(|name| ***name == *"/home/build" || name.starts_with("/cache/npm")), "{foreign:?}");
}
