//! In from the edge only; out through the filter.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skylift_tests::http::Request;
use tokio::io::AsyncWriteExt;

use super::*;

/// Something on this machine that no app may reach: how often somebody did, and where it listens.
async fn bait() -> (Arc<AtomicUsize>, u16) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    let count = reached.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(b"reached").await;
        }
    });
    (reached, port)
}

#[tokio::test]
async fn nothing_private_is_reached_unless_the_owner_allows_it() {
    let (reached, port) = bait().await;
    let (_, other_port) = bait().await;
    let allowed = format!("[instances]\nallow = [\"127.0.0.1:{port}\"]\n");
    // The control: allowed, the very same is reached.
    for (settings, expected) in [("", 0), (allowed.as_str(), 1)] {
        let Some(Pair { platform, docker: _docker }) = pair(settings).await else { return };
        let app = platform.app("shop").await;
        let live = app.deploy(&server()).await;
        let said = says(&app, &format!("/connect?127.0.0.1:{port}")).await;
        assert_eq!(said.contains("reached"), expected == 1, "{said}");
        for host in ["10.0.0.1", "169.254.169.254", "192.168.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"] {
            let said = says(&app, &format!("/connect?{host}:80")).await;
            assert!(!said.contains("reached") && !said.contains("HTTP"), "{host}: {said}");
        }
        let said = says(&app, &format!("/connect?127.0.0.1:{other_port}")).await;
        assert!(!said.contains("reached"), "{said}");
        app.logs_line(&live.id, "refused: 169.254.169.254:80").await;
        assert_eq!(reached.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn only_the_edge_comes_in() {
    let Some(Pair { platform, docker }) = pair("").await else { return };
    let app = platform.app("shop").await;
    app.deploy(&server()).await;
    let container = docker.containers().await.remove(0);
    let asked = "{{json .NetworkSettings.Networks}} {{.HostConfig.PortBindings}}";
    let networks = docker.docker(&["inspect", "-f", asked, &container]).await.unwrap();
    assert!(networks.contains("\"none\"") && networks.ends_with("map[]"), "{networks}");
    let pid = docker.docker(&["inspect", "-f", "{{.State.Pid}}", &container]).await.unwrap();
    let devices = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap();
    assert!(devices.lines().skip(2).all(|line| line.trim_start().starts_with("lo:")), "{devices}");
    let large = Request::post("/").host("shop.localhost").body(vec![b'x'; 1000]);
    assert_eq!(platform.send(large).await.status, 200, "and the edge does");
}
