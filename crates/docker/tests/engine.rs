//! The client against a real engine, with images that have nothing but one program of Debian's, `busybox`.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use skylift_docker::{BuildOrder, Container, Ended, Engine, Made, Order, Progress};
use skylift_peers::Docker;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

fn busybox() -> Vec<u8> {
    std::fs::read("/bin/busybox").expect("busybox-static is installed; `make peers` installs it")
}

fn archive(dockerfile: &str) -> mpsc::Receiver<io::Result<Bytes>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [("Dockerfile", dockerfile.as_bytes()), ("busybox", &busybox())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(Ok(archive.into_inner().unwrap().into())).unwrap();
    receiver
}

fn build_order(tag: &str) -> BuildOrder {
    BuildOrder {
        tag: tag.to_owned(),
        dockerfile: "Dockerfile".to_owned(),
        labels: [("skylift.node".to_owned(), "n".to_owned())].into(),
        memory_bytes: 256 << 20,
        cpu_millicores: 1000,
    }
}

/// All that is said of a build.
async fn build(engine: &Engine, dockerfile: &str) -> Vec<Progress> {
    let made = Made::default();
    let mut building = engine.build(&build_order("skylift/test:1"), archive(dockerfile), made.clone()).await.unwrap();
    let mut said = Vec::new();
    while let Some(progress) = building.next().await.unwrap() {
        said.push(progress);
    }
    engine.forget(&made, false).await;
    said
}

fn order(image: &str, command: &str) -> Order {
    Order {
        image: image.to_owned(),
        command: ["/bin/busybox", "sh", "-c", command].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        user: Some("1000001:1000001".to_owned()),
        hostname: "i".to_owned(),
        labels: [("skylift.node".to_owned(), "n".to_owned())].into(),
        memory_bytes: 64 << 20,
        cpu_millicores: 1000,
        pids: 32,
        tmpfs: [("/tmp".to_owned(), 1 << 20)].into(),
        binds: vec![],
        file_bytes_max: None,
    }
}

/// Runs a container to its end; what it printed and how it ended.
async fn run(engine: &Engine, order: &Order) -> (String, Ended) {
    let container: Container = engine.create(order).await.unwrap();
    let mut attached = container.attach().await.unwrap();
    container.start().await.unwrap();
    let (mut printed, mut complained) = (String::new(), String::new());
    let (out, err) =
        tokio::join!(attached.stdout.read_to_string(&mut printed), attached.stderr.read_to_string(&mut complained));
    out.and(err).unwrap();
    let ended = container.ended().await.unwrap();
    container.remove().await.unwrap();
    container.remove().await.unwrap();
    (format!("{printed}|{complained}"), ended)
}

#[tokio::test]
async fn images_are_built_run_and_removed() {
    let Some(docker) = Docker::start().await else { return };
    let engine = Engine::at(Path::new(&docker.socket()));
    assert!(!engine.version().await.unwrap().is_empty());

    let failed =
        build(&engine, "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"exit 5\"]\n")
            .await;
    assert!(failed.iter().any(|said| matches!(said, Progress::Failed { code: Some(5), .. })), "{failed:?}");
    let said =
        build(&engine, "FROM scratch\nCOPY busybox /bin/busybox\nEXPOSE 80\nVOLUME /data\nCMD [\"/bin/busybox\"]\n")
            .await;
    let id =
        said.iter().find_map(|said| if let Progress::Built { id } = said { Some(id.clone()) } else { None }).unwrap();
    let image = engine.image(&id).await.unwrap();
    assert_eq!((image.tcp_ports, image.volumes, image.user), (vec![80], vec!["/data".to_owned()], None));
    assert_eq!(engine.images("skylift.node=n").await.unwrap().len(), 1);
    assert!(engine.images("skylift.node=other").await.unwrap().is_empty());

    let shown = "echo out; echo err >&2; grep -E 'CapEff|NoNewPrivs' /proc/self/status; exit 3";
    let (printed, ended) = run(&engine, &order(&id, shown.replace("grep", "/bin/busybox grep").as_str())).await;
    assert_eq!(ended, Ended { code: 3, out_of_memory: false });
    assert_eq!(printed, "out\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n|err\n");
    let (_, ended) = run(&engine, &order(&id, "a=x; while :; do a=$a$a; done")).await;
    assert_eq!(ended, Ended { code: 137, out_of_memory: true });
    let many = "i=0; while [ $i -lt 40 ]; do /bin/busybox sleep 1 & i=$((i+1)); done; echo done";
    let (printed, _) = run(&engine, &order(&id, many)).await;
    assert!(printed.contains("can't fork"), "{printed}");

    assert!(engine.containers(&["skylift.node=n"]).await.unwrap().is_empty());
    engine.remove_image(&id).await.unwrap();
    engine.remove_image(&id).await.unwrap();
    assert!(engine.image(&id).await.unwrap_err().is_missing());
    assert!(docker.images().await.is_empty());
}

#[tokio::test]
async fn a_build_that_is_given_up_ends_and_leaves_nothing() {
    let Some(docker) = Docker::start().await else { return };
    let engine = Engine::at(Path::new(&docker.socket()));
    let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo began; /bin/busybox sleep 600\"]\n";
    let made = Made::default();
    let mut building = engine.build(&build_order("skylift/test:2"), archive(dockerfile), made.clone()).await.unwrap();
    loop {
        match building.next().await.unwrap().unwrap() {
            Progress::Text(text) if text.contains("began\n") => break,
            _ => {}
        }
    }
    assert_eq!(docker.containers().await.len(), 1);
    drop(building);
    while !docker.containers().await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(docker.images().await, ["<none>:<none>"], "what it had made until then");
    engine.forget(&made, true).await;
    assert!(docker.images().await.is_empty());
}
