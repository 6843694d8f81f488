//! Routes that change, and a source that fails.

use skylift_bus::Message;
use skylift_model::Digest;
use skylift_model::route::RoutedDeployment;

use crate::dsl::{id, name, server, site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_began_before_a_swap_gets_the_old_bytes_to_the_end() {
    let old: Vec<u8> = (0..48_000_000_u32).map(|n| (n % 241) as u8).collect();
    let server = server().app("hello", site().file("big.bin", &old)).start().await;
    let mut client = server.client().await;
    client.write(b"GET /big.bin HTTP/1.1\r\nhost: hello.localhost\r\n\r\n").await;
    let head = client.read_head().await;
    assert_eq!(head.status, 200);
    let mut body = client.read_body(1_000).await;

    server.deploy("hello", 2, site().file("big.bin", "new")).await;
    // Even clean-up that goes too far takes only the name.
    std::fs::remove_file(server.blob_file(&Digest::of(&old))).unwrap();
    assert_eq!(server.get("hello.localhost", "/big.bin").await.short(), "200 new");

    body.extend(client.read_body(old.len() - 1_000).await);
    assert!(body == old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_answer_every_request_with_one_version_or_the_other() {
    let page = |number: u64| format!("{number}").repeat(50_000);
    let server = server().app("hello", site().file("index.html", page(1))).start().await;
    let address = server.address;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut client = crate::dsl::Client::connect(address).await;
        let mut answers = 0;
        loop {
            let answer = client.ask("GET", "hello.localhost", "/", &[]).await;
            assert_eq!(answer.status, 200);
            assert!(answer.complete && answer.body.iter().all(|byte| *byte == answer.body[0]), "two versions mixed");
            answers += 1;
            if *stopped.borrow_and_update() {
                return answers;
            }
        }
    });
    for number in 2..=9 {
        server.deploy("hello", number, site().file("index.html", page(number))).await;
        let now = server.get("hello.localhost", "/").await;
        assert_eq!(now.body, page(number).into_bytes(), "applied means served");
    }
    stop.send(true).unwrap();
    assert!(load.await.unwrap() > 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_never_go_back_to_a_lower_generation() {
    let server = server().app("hello", site().file("index.html", "one")).start().await;
    let old = server.source.routes(&name("hello"));
    server.deploy("hello", 2, site().file("index.html", "two")).await;
    server.source.set(old);
    server.settle("hello").await;
    assert_eq!(server.applied.generation(&name("hello")), Some(2));
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_cannot_be_loaded_does_not_go_live() {
    let server = server().app("hello", site().file("index.html", "one")).start().await;
    let artifact = site().file("index.html", "two").store(&server.blobs).await;
    let file = server.blob_file(&artifact);
    let aside = server.folder.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    let routes = server.source.go_live(&name("hello"), RoutedDeployment::new(id(2), artifact));
    server.settle("hello").await;
    assert_eq!(server.applied.generation(&name("hello")), Some(1));
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 one");
    assert!(server.metrics_text().contains("skylift_edge_routes_stale 1"));

    // It is tried again without being told.
    let mut messages = server.bus.subscribe();
    std::fs::rename(&aside, &file).unwrap();
    let applied = Message::RoutesApplied(name("hello"), routes.generation, "edge".to_owned());
    messages.wait_for(|message| *message == applied).await;
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_app_is_gone_and_may_come_back_as_another() {
    let server = server().app("hello", site().file("index.html", "one")).app("other", site()).start().await;
    server.deploy("hello", 3, site().file("index.html", "three")).await;
    server.source.remove(&name("hello"));
    server.bus.publish(Message::RoutesChanged(name("hello")));
    server.settle("other").await;
    for host in ["hello.localhost".to_owned(), format!("{}.localhost", id(1)), format!("{}.localhost", id(3))] {
        assert_eq!(server.get(&host, "/").await.status, 404, "{host}");
    }
    server.deploy("hello", 9, site().file("index.html", "again")).await;
    assert_eq!(server.applied.generation(&name("hello")), Some(1));
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_messages_make_the_edge_read_everything_again() {
    let server = server().app("hello", site().file("index.html", "one")).app("gone", site()).start().await;
    let artifact = site().file("index.html", "two").store(&server.blobs).await;
    let routes = server.source.go_live(&name("hello"), RoutedDeployment::new(id(7), artifact));
    server.source.remove(&name("gone"));
    let mut messages = server.bus.subscribe();
    // More than the bus keeps for anybody; the one that mattered would have been among them.
    for _ in 0..20_000 {
        server.bus.publish(Message::JobReady);
    }
    let mut applied = false;
    while !applied {
        applied = server.applied.generation(&name("hello")) == Some(routes.generation);
        if !applied {
            messages.next().await;
        }
    }
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 two");
    assert_eq!(server.applied.generation(&name("gone")), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_source_the_edge_serves_the_last_good_routes() {
    let first = server().app("hello", site().file("index.html", "one")).start().await;
    first.deploy("hello", 2, site().file("index.html", "two")).await;
    let (folder, source) = first.stop().await;
    source.fail(true);
    let second = server().on(folder, source).start().await;
    assert_eq!(second.get("hello.localhost", "/").await.short(), "200 two");
    assert_eq!(second.get(&format!("{}.localhost", id(1)), "/").await.short(), "200 one");
    assert_eq!(second.applied.generation(&name("hello")), Some(2));
    assert!(second.metrics_text().contains("skylift_edge_routes_stale 1"));

    // When the source is back, so is the truth.
    let mut messages = second.bus.subscribe();
    let artifact = site().file("index.html", "three").store(&second.blobs).await;
    let routes = second.source.go_live(&name("hello"), RoutedDeployment::new(id(3), artifact));
    second.source.fail(false);
    let applied = Message::RoutesApplied(name("hello"), routes.generation, "edge".to_owned());
    messages.wait_for(|message| *message == applied).await;
    assert_eq!(second.get("hello.localhost", "/").await.short(), "200 three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_last_good_routes_leave_an_empty_table_and_a_running_edge() {
    let first = server().app("hello", site().file("index.html", "one")).start().await;
    let (folder, source) = first.stop().await;
    source.fail(true);
    let file = folder.path().join("routes");
    let good = std::fs::read(&file).unwrap();
    let mut kept = Some((folder, source));
    let bad = [b"".to_vec(), b"nonsense".to_vec(), vec![0xff; 1000], good[..good.len() - 1].to_vec()];
    for bytes in bad {
        std::fs::write(&file, &bytes).unwrap();
        let (folder, source) = kept.take().unwrap();
        let second = server().on(folder, source).start().await;
        assert_eq!(second.get("hello.localhost", "/").await.status, 404, "{bytes:?}");
        assert!(second.get("localhost", "/").await.text().starts_with("control"));
        kept = Some(second.stop().await);
    }
    // The control: with the good bytes, the same start serves.
    std::fs::write(&file, &good).unwrap();
    let (folder, source) = kept.take().unwrap();
    let second = server().on(folder, source).start().await;
    assert_eq!(second.get("hello.localhost", "/").await.short(), "200 one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_good_file_that_cannot_be_written_does_not_stop_a_change() {
    let server = server()
        .app("hello", site().file("index.html", "one"))
        .configure(|config| config.last_good = "/proc/nowhere/routes".into())
        .start()
        .await;
    server.deploy("hello", 2, site().file("index.html", "two")).await;
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_begun_anew_takes_no_app_out() {
    let apps = || server().app("hello", site().file("index.html", "one")).app("other", site());
    let first = apps().start().await;
    let before: Vec<_> = ["hello", "other"].map(|app| first.source.routes(&name(app))).into();
    let read_all = async |server: &crate::dsl::Server| {
        let asked = server.source.asked();
        // More than the bus keeps for anybody.
        (0..20_000).for_each(|_| server.bus.publish(Message::JobReady));
        server.source.asked_beyond(asked).await;
        // Answered once what was read is applied.
        server.settle("nothing").await;
    };
    first.source.begin_anew();
    read_all(&first).await;
    first.bus.publish(Message::RoutesChanged(name("hello")));
    read_all(&first).await;
    assert_eq!(first.get("hello.localhost", "/").await.short(), "200 one", "asked for all, and for the one");
    assert!(first.metrics_text().contains("skylift_edge_routes_stale 1"));
    // What the new one has is served beside it.
    let artifact = site().file("index.html", "new").store(&first.blobs).await;
    let routes = first.source.go_live(&name("new"), RoutedDeployment::new(id(30), artifact));
    first.change(&routes).await;
    assert_eq!(first.get("new.localhost", "/").await.short(), "200 new");
    assert_eq!(first.get("hello.localhost", "/").await.short(), "200 one");

    // Nor does it after a start.
    let (folder, source) = first.stop().await;
    let second = server().on(folder, source).start().await;
    assert_eq!(second.get("hello.localhost", "/").await.short(), "200 one");

    // The one that they came from is believed: with what it has, and that the last app is gone.
    second.source.restore(before);
    second.source.remove(&name("new"));
    second.settle("new").await;
    read_all(&second).await;
    assert_eq!(second.get("new.localhost", "/").await.status, 404);
    assert_eq!(second.get("hello.localhost", "/").await.short(), "200 one");
    second.source.remove(&name("other"));
    second.source.remove(&name("hello"));
    read_all(&second).await;
    assert_eq!(second.get("hello.localhost", "/").await.status, 404, "control: the same source, asked for all");
    let (folder, source) = second.stop().await;
    let third = server().on(folder, source).start().await;
    assert_eq!(third.get("hello.localhost", "/").await.status, 404, "and it stays gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_whose_rows_are_gone_is_served_until_it_is_removed() {
    let apps = ["hello", "other", "third"];
    let first = apps.iter().fold(server(), |server, app| server.app(app, site().file("index.html", app))).start().await;
    let lost = |server: &crate::dsl::Server, count: u32| {
        let (lost, stale) = (format!("skylift_edge_lost_apps {count}\n"), u32::from(count > 0));
        let text = server.metrics_text();
        text.contains(&lost) && text.contains(&format!("skylift_edge_routes_stale {stale}\n"))
    };
    // Asked for the one: the rest follows by itself.
    let before = first.source.routes(&name("hello"));
    first.source.lose(&name("hello"));
    first.settle("hello").await;
    first.source.lose(&name("other"));
    let mut asked = first.source.asked();
    while !lost(&first, 2) {
        first.source.asked_beyond(asked).await;
        asked = first.source.asked();
        first.settle("nothing").await;
    }
    for app in apps {
        assert_eq!(first.get(&format!("{app}.localhost"), "/").await.short(), format!("200 {app}"));
    }

    // A start finds them on its own disk, with and without the source.
    let (folder, source) = first.stop().await;
    source.fail(true);
    let (folder, source) = server().on(folder, source).start().await.stop().await;
    source.fail(false);
    let second = server().on(folder, source).start().await;
    for app in apps {
        assert_eq!(second.get(&format!("{app}.localhost"), "/").await.short(), format!("200 {app}"));
    }
    assert!(lost(&second, 2), "{}", second.metrics_text());

    // The control: of what was removed, however its rows went, nothing is left; what is back, is followed.
    second.source.set(before);
    second.source.remove(&name("other"));
    second.settle("other").await;
    assert_eq!(second.get("other.localhost", "/").await.status, 404);
    let (folder, source) = second.stop().await;
    let third = server().on(folder, source).start().await;
    assert!(lost(&third, 0), "{}", third.metrics_text());
    assert_eq!(third.get("hello.localhost", "/").await.short(), "200 hello");
    assert_eq!(third.get("other.localhost", "/").await.status, 404);
    third.deploy("hello", 9, site().file("index.html", "next")).await;
    assert_eq!(third.get("hello.localhost", "/").await.short(), "200 next");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_what_follows_routes_does_not_end_the_following() {
    let server = server().app("hello", site().file("index.html", "one")).start().await;
    for number in 2..=4 {
        server.source.panic_once();
        // Lost with the task that would have heard it: the next one reads everything.
        let artifact = site().file("index.html", format!("{number}")).store(&server.blobs).await;
        let mut messages = server.bus.subscribe();
        let routes = server.source.go_live(&name("hello"), RoutedDeployment::new(id(number), artifact));
        server.bus.publish(Message::RoutesChanged(name("hello")));
        let applied = Message::RoutesApplied(name("hello"), routes.generation, "edge".to_owned());
        let heard = messages.wait_for(|message| *message == applied);
        tokio::time::timeout(crate::dsl::PATIENCE, heard).await.expect("followed on");
        assert!(!server.source.is_to_panic());
        assert_eq!(server.get("hello.localhost", "/").await.short(), format!("200 {number}"));
    }
}
