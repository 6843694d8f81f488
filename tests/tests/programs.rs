//! Apps that run: instances behind the edge, deploys and rollbacks without a failed request, death and replacement.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "programs/ends.rs"]
mod ends;
#[path = "programs/hostile.rs"]
mod hostile;
#[path = "programs/load.rs"]
mod load;
#[path = "programs/memory.rs"]
mod memory;
#[path = "programs/silent.rs"]
mod silent;

use std::collections::BTreeSet;
use std::time::Duration;

use skylift_model::wire::{Instance, InstanceList};
use skylift_model::{DeploymentId, DeploymentState, InstanceState};
use skylift_tests::app::App;
use skylift_tests::census::Census;
use skylift_tests::folder::Folder;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::wait;

use load::Load;

/// A server in Node that says which version it is, and what it is asked to say.
fn server(version: &str) -> Folder {
    let program = r#"
        const http = require('http');
        const me = String(Math.random());
        const server = http.createServer((request, response) => {
            const url = new URL(request.url, 'http://x');
            if (url.pathname === '/env') return response.end(process.env[url.searchParams.get('name')] ?? '-');
            if (url.pathname === '/headers') return response.end(JSON.stringify(request.headers));
            if (url.pathname === '/me') return response.end(me);
            if (url.pathname === '/die') process.exit(3);
            if (url.pathname === '/write') {
                require('fs').writeFileSync('server.js', 'other');
                require('fs').writeFileSync('data/kept.txt', 'changed');
                require('fs').writeFileSync('data/new.txt', 'new');
                return response.end(require('fs').readFileSync('data/kept.txt') + ' ' + require('fs').readdirSync('data'));
            }
            if (url.pathname === '/eat') { const eaten = []; while (true) eaten.push(Buffer.alloc(1 << 20, 1)); }
            if (url.pathname === '/hide') {
                const { openSync, unlinkSync, writeSync } = require('fs');
                for (const name of ['a', 'b', 'c']) {
                    const file = openSync(name, 'w');
                    unlinkSync(name);
                    for (let mib = 0; mib < 12; mib++) writeSync(file, Buffer.alloc(1 << 20, 1));
                }
                return response.end('hidden');
            }
            if (url.pathname === '/many') {
                for (let number = 0; number < 5000; number++) require('fs').writeFileSync('data/' + number, '');
                return response.end('made');
            }
            if (url.pathname === '/interim') {
                const flood = () => { while (response.socket.write('HTTP/1.1 103 Early Hints\\r\\n\\r\\n'.repeat(1000))); };
                response.socket.on('drain', flood);
                return flood();
            }
            if (url.pathname === '/slow') return setTimeout(() => response.end('VERSION'), 400);
            if (request.method === 'POST') {
                let bytes = 0;
                request.on('data', piece => { bytes += piece.length; });
                return request.on('end', () => response.end('VERSION ' + bytes));
            }
            response.end('VERSION');
        });
        server.listen(process.env.PORT, process.env.HOST, () => console.log('listening on ' + process.env.PORT));
        process.on('SIGTERM', () => { console.log('told to end'); server.close(() => process.exit(0)); });
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program.replace("VERSION", version))
        .file("data/kept.txt", "kept")
}

async fn instances(app: &App<'_>) -> Vec<Instance> {
    let InstanceList { instances, .. } = app.platform.client().instances(&app.name).await.unwrap();
    instances
}

async fn running(app: &App<'_>, deployment: &DeploymentId) -> Vec<Instance> {
    let ready = |instance: &Instance| instance.state == InstanceState::Ready && instance.deployment == *deployment;
    instances(app).await.into_iter().filter(ready).collect()
}

async fn has(app: &App<'_>, deployment: &DeploymentId, count: usize) {
    let what = format!("{count} instances of {deployment} and no others");
    wait::until(&what, async || {
        let others =
            instances(app).await.iter().any(|one| one.deployment != *deployment && one.state != InstanceState::Ended);
        (running(app, deployment).await.len() == count && !others).then_some(())
    })
    .await;
}

async fn says(app: &App<'_>, path: &str) -> String {
    let response = app.platform.get(&format!("{}.localhost", app.name), path).await;
    assert_eq!(response.status, 200, "{path}: {}", response.brief());
    response.text()
}

#[tokio::test]
async fn a_server_answers_at_its_url_with_its_environment_and_its_output_in_the_log() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    platform.cli(&["env", "set", "shop", "GREETING=hello there"]).await.ok();
    let live = app.deploy(&server("one")).await;
    assert_eq!(says(&app, "/").await, "one");
    assert_eq!(says(&app, "/env?name=GREETING").await, "hello there");
    assert_eq!(says(&app, "/env?name=HOST").await, "0.0.0.0");
    assert_eq!(says(&app, "/env?name=SKYLIFT_DEPLOYMENT").await, live.id.to_string());
    assert_eq!(
        platform.get(&format!("{}.localhost", live.id), "/").await.text(),
        "one",
        "a deployment has an address of its own"
    );

    let asked = Request::get("/headers").host("shop.localhost").header("x-forwarded-for", "203.0.113.9");
    let told = platform.send(asked.header("x-forwarded-proto", "https")).await.json();
    let ours = platform.spread.as_ref().map_or("127.0.0.1".to_owned(), |spread| spread.edge.namespace.here.to_string());
    assert_eq!(
        (told["x-forwarded-for"].as_str(), told["x-forwarded-proto"].as_str()),
        (Some(ours.as_str()), Some("http"))
    );
    let posted = platform.send(Request::post("/").host("shop.localhost").body(vec![b'x'; 300_000])).await;
    assert_eq!(posted.text(), "one 300000");

    memory::of_each_is_little(&platform);
    app.logs_line(&live.id, "listening on 8080").await;
    let ps = platform.cli(&["ps", "shop"]).await.ok();
    assert!(ps.stdout.contains("ready") && ps.stdout.contains(live.id.as_str()), "{}", ps.stdout);
}

#[tokio::test]
async fn what_dies_is_replaced_and_the_reason_is_told() {
    let platform = Platform::configured("[instances]\nmemory_bytes = 134217728\ndisk_bytes = 16777216\n").await;
    let app = platform.app("shop").await;
    let live = app.deploy(&server("one")).await;
    platform.cli(&["scale", "shop", "--max", "1"]).await.ok();
    for (path, reason) in [
        ("/die", "exited with code 3"),
        ("/eat", "killed: memory limit 128 MiB"),
        ("/hide", "killed: disk limit 16 MiB"),
        ("/many", "killed: more than 4096 files"),
    ] {
        assert_eq!(says(&app, "/write").await, "changed kept.txt,new.txt", "its files are its own, and gone with it");
        // What may be sent once more would end the next one, too.
        let _ = app.send(Request::post(path)).await;
        wait::until(reason, async || {
            instances(&app).await.iter().any(|instance| instance.reason.as_deref() == Some(reason)).then_some(())
        })
        .await;
        app.logs_line(&live.id, reason).await;
        has(&app, &live.id, 1).await;
        assert_eq!(says(&app, "/").await, "one");
    }
}

#[tokio::test]
async fn a_visitor_stays_with_an_instance_until_that_has_died() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let config = "[run]\nsticky = true\n\n[scale]\nmin = 2\nmax = 2\n";
    let live = app.deploy(&server("one").file("skylift.toml", config)).await;
    has(&app, &live.id, 2).await;
    let first = app.get("/me").await;
    let cookie = first.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("skylift-instance=i-"), "{cookie}");
    let ask = async |request: Request| app.send(request.header("cookie", &cookie)).await;
    for _ in 0..10 {
        let again = ask(Request::get("/me")).await;
        assert_eq!((again.text(), again.header("set-cookie")), (first.text(), ""));
    }
    assert_eq!(ask(Request::post("/die")).await.status, 502, "it is not sent to the other one");
    let other = ask(Request::get("/me")).await;
    assert_ne!(other.text(), first.text());
    assert!(other.header("set-cookie").starts_with("skylift-instance="), "{}", other.brief());
}

#[tokio::test]
async fn answers_that_never_begin_keep_nobody_waiting_and_what_is_removed_ends() {
    let platform = Platform::start().await;
    let hostile = platform.app("hostile").await;
    hostile.deploy(&server("one")).await;
    let app = platform.app("shop").await;
    app.deploy(&server("two")).await;
    let floods = tokio::join!(
        platform.get("hostile.localhost", "/interim"),
        platform.get("hostile.localhost", "/interim"),
        async { assert_eq!(says(&app, "/").await, "two") }
    );
    assert_eq!((floods.0.status, floods.1.status), (502, 502));
    platform.cli(&["rm", "hostile", "-y"]).await.ok();
    platform.cli(&["rm", "shop", "-y"]).await.ok();
    wait::until("no sandbox", async || platform.census().groups.is_empty().then_some(())).await;
}

#[tokio::test]
async fn deploys_rollbacks_and_scaling_under_load_fail_no_request() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let first = app.deploy(&server("one")).await;
    // By hand alone: a busy machine must not make more.
    platform.cli(&["scale", "shop", "2", "--in-flight", "1000"]).await.ok();
    has(&app, &first.id, 2).await;
    let load = Load::begin(platform.address(), "shop.localhost");
    let second = app.deploy(&server("two")).await;
    has(&app, &second.id, 2).await;
    assert_eq!(says(&app, "/").await, "two");
    platform.cli(&["scale", "shop", "3"]).await.ok();
    has(&app, &second.id, 3).await;
    platform.cli(&["rollback", "shop"]).await.ok();
    has(&app, &first.id, 3).await;
    assert_eq!(says(&app, "/").await, "one");
    platform.cli(&["scale", "shop", "1"]).await.ok();
    has(&app, &first.id, 1).await;
    let told = load.end().await;
    assert_eq!(told.failed, Vec::<String>::new());
    assert!(told.answers > 50 && told.uploads > 10, "{told:?}");
    app.logs_line(&second.id, "told to end").await;
}

#[tokio::test]
async fn a_release_that_never_answers_is_refused_while_the_old_one_serves() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let live = app.deploy(&server("one")).await;
    let broken = server("two");
    broken.write("server.js", "console.log('about to fail'); process.exit(7);");
    let failed = app.attempt(&broken).await;
    assert_eq!(failed.state, DeploymentState::Failed);
    let failure = failed.failure.unwrap();
    assert_eq!((failure.step.as_str(), failure.message.as_str()), ("start", "exited with code 7"));
    app.logs_line(&failed.id, "about to fail").await;
    assert_eq!(says(&app, "/").await, "one");
    has(&app, &live.id, 1).await;
}

#[tokio::test]
async fn a_start_that_is_not_ready_says_what_was_not_answered() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let folder = server("one").file("skylift.toml", "[health]\npath = \"/missing\"\n");
    folder.write(
        "server.js",
        "require('http').createServer((_, r) => { r.statusCode = 404; r.end(); }).listen(process.env.PORT);",
    );
    let begun = app.begin(&folder).await;
    let line = app.logs_line(&begun.id, "not ready: ").await;
    assert!(line.contains("GET /missing was answered with the status 404, not with 200 to 399"), "{line}");
    platform.cli(&["cancel", "shop"]).await.ok();
    let elsewhere = server("two");
    elsewhere.write("server.js", "require('http').createServer((_, r) => r.end()).listen(3000);");
    let begun = app.begin(&elsewhere).await;
    let line = app.logs_line(&begun.id, "not ready: ").await;
    let reason = "it listens on port 3000, not on PORT (8080)";
    assert!(line.contains(reason), "{line}");
    wait::until("the same from ps", async || {
        let starting = instances(&app).await.into_iter().find(|one| one.state == InstanceState::Starting)?;
        starting.reason.is_some_and(|why| why.contains(reason)).then_some(())
    })
    .await;
    platform.cli(&["cancel", "shop"]).await.ok();
}

#[tokio::test]
async fn instances_come_back_after_the_platform_was_killed_and_nothing_is_left_of_the_old_ones() {
    let mut platform = Platform::start().await;
    let live = platform.app("shop").await.deploy(&server("one")).await;
    platform.kill().await;
    // Nobody is left who could remove the empty groups; the next start does.
    let groups = platform.census().groups;
    Census::becomes_empty(|| Census { groups: BTreeSet::new(), ..platform.census() }).await;
    platform.up().await;
    assert!(groups.is_disjoint(&platform.census().groups));
    let app = platform.existing("shop");
    assert_eq!(says(&app, "/").await, "one", "nobody is led to those that are gone");
    has(&app, &live.id, 1).await;
    let began = std::time::Instant::now();
    assert!(platform.stop().await.success());
    assert!(began.elapsed() < Duration::from_secs(15));
    Census::becomes_empty(|| platform.census()).await;
}

#[tokio::test]
async fn a_site_takes_the_place_of_a_server_and_the_other_way_round() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&server("one")).await;
    app.deploy(&skylift_tests::folder::site("a page")).await;
    assert_eq!(says(&app, "/").await, "a page");
    wait::until("no instance", async || {
        instances(&app).await.iter().all(|instance| instance.state == InstanceState::Ended).then_some(())
    })
    .await;
    app.deploy(&server("two")).await;
    assert_eq!(says(&app, "/").await, "two");
}
