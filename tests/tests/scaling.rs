//! Apps that follow their load: more instances, fewer, none, and back, without a failed request; and why.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "programs/load.rs"]
mod load;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use skylift_model::InstanceState;
use skylift_model::wire::ScalingExplained;
use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::wait;

use load::Load;

/// A server in Node that takes its time where it is asked to.
fn server() -> Folder {
    let program = "
        const http = require('http');
        http.createServer((request, response) => {
            let bytes = 0;
            request.on('data', piece => { bytes += piece.length; });
            request.on('end', () => {
                const answer = () => response.end(request.method === 'POST' ? 'read ' + bytes : 'hello');
                if (request.url === '/slow') setTimeout(answer, 400); else answer();
            });
        }).listen(process.env.PORT);
        process.on('SIGTERM', () => process.exit(0));
    ";
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program)
}

async fn alive(app: &App<'_>) -> usize {
    let list = app.platform.client().instances(&app.name).await.unwrap();
    list.instances.iter().filter(|instance| instance.state != InstanceState::Ended).count()
}

async fn has(app: &App<'_>, count: usize) {
    wait::until(&format!("{count} instances"), async || (alive(app).await == count).then_some(())).await;
}

async fn explained(app: &App<'_>) -> ScalingExplained {
    app.platform.client().explain_scaling(&app.name).await.unwrap()
}

#[tokio::test]
async fn what_nobody_asks_sleeps_and_the_next_request_wakes_it() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&server()).await;
    let ran = platform.cli(&["scale", "shop", "--min", "0", "--idle", "1"]).await.ok();
    assert!(ran.stdout.contains("0 to 10 instances, CPU 50 %"), "{}", ran.stdout);
    has(&app, 0).await;
    let listed = platform.cli(&["ps", "shop"]).await.ok();
    assert!(listed.stderr.contains("shop sleeps; the next request starts it"), "{}", listed.stderr);
    let told = explained(&app).await;
    assert_eq!((told.wanted, told.steps[0].from, told.steps[0].to), (0, 1, 0), "{told:?}");
    assert_eq!(told.steps[0].reason, "idle for 1 s");

    let ask = || platform.get("shop.localhost", "/");
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    for response in [one, two, three] {
        assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{}", response.brief());
    }
    let posted = platform.send(Request::post("/").host("shop.localhost").body(vec![b'x'; 300_000])).await;
    assert_eq!(posted.text(), "read 300000");
    let told = explained(&app).await;
    assert!(told.steps.iter().any(|step| (step.from, step.to) == (0, 1)), "{told:?}");
}

/// How many ask at once: more than may wait (`Parking::while_none`) where there is time for it.
fn crowd() -> usize {
    if std::env::var_os("SKYLIFT_SOAK").is_some() { 1001 } else { 200 }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the test")]
async fn a_crowd_before_an_app_that_sleeps_starts_it_once_and_is_answered_as_far_as_it_may_wait() {
    // Each of the crowd has a connection.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&server()).await;
    platform.cli(&["scale", "shop", "--min", "0", "--max", "1", "--idle", "1"]).await.ok();
    has(&app, 0).await;
    let before = platform.client().instances(&app.name).await.unwrap().instances.len();
    // It goes to sleep again once all are answered: who comes later would start another.
    platform.cli(&["scale", "shop", "--idle", "600"]).await.ok();
    let ask = || tokio::spawn(Request::get("/").host("shop.localhost").try_send(platform.address()));
    let asking: Vec<_> = (0..crowd()).map(|_| ask()).collect();
    let (mut answered, mut refused) = (0, 0);
    for one in asking {
        let answer = one.await.unwrap().expect("an answer");
        match answer.status {
            200 => answered += 1,
            503 if !answer.header("retry-after").is_empty() => refused += 1,
            _ => panic!("{}", answer.brief()),
        }
    }
    eprintln!("figure: {answered} requests before an app that slept answered, {refused} refused");
    assert_eq!(answered + refused, crowd());
    assert!(refused <= crowd().saturating_sub(1000), "only as many as may not wait: {refused}");
    let after = platform.client().instances(&app.name).await.unwrap().instances.len();
    assert_eq!(after - before, 1, "one start");
}

#[tokio::test]
async fn load_brings_instances_and_takes_them_back_without_a_failed_request() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&server()).await;
    platform.cli(&["scale", "shop", "--in-flight", "1", "--max", "3", "--hold", "2"]).await.ok();
    // Each has one slow request under way nearly all the time: with four of them, three are enough to be seen at any moment.
    let loads = [(); 4].map(|()| Load::begin(platform.address(), "shop.localhost"));
    has(&app, 3).await;
    let told = explained(&app).await;
    let now = told.now.unwrap();
    assert!(now.in_flight.is_some() && now.rps > Some(1.0), "{now:?}");
    assert!(now.answers.iter().any(|answer| answer.wants >= Some(2)), "{now:?}");
    for load in loads {
        let told = load.end().await;
        assert_eq!(told.failed, Vec::<String>::new());
        assert!(told.answers > 5, "{told:?}");
    }
    let quiet = Load::begin(platform.address(), "shop.localhost");
    platform.cli(&["scale", "shop", "--in-flight", "1000", "--min", "2"]).await.ok();
    has(&app, 2).await;
    assert_eq!(quiet.end().await.failed, Vec::<String>::new(), "whoever goes finishes what it has");
    let shown = platform.cli(&["scale", "shop", "--explain"]).await.ok().stdout;
    assert!(shown.contains("1000 requests at a time") && shown.contains("-> 3"), "{shown}");
}

#[tokio::test]
async fn what_its_owner_stopped_stays_so_and_says_it_at_once() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let first = app.deploy(&server()).await;
    let changed = server();
    changed.write("more.txt", "more");
    app.deploy(&changed).await;
    let kept = platform.get(&format!("{}.localhost", first.id), "/").await;
    assert!(kept.status == 503 && kept.text().contains("it is not live"), "{}", kept.brief());

    let refused = platform.cli(&["scale", "shop", "11"]).await;
    assert!(refused.exit != 0 && refused.stderr.contains("skylift scale shop --max 11"), "{}", refused.stderr);
    platform.cli(&["scale", "shop", "0"]).await.ok();
    has(&app, 0).await;
    for arguments in [&["ps", "shop"][..], &["scale", "shop", "--min", "1"], &["scale", "shop", "--reset"]] {
        let told = platform.cli(arguments).await.ok().stderr;
        assert!(told.contains("shop is stopped") && told.contains("`skylift scale shop 1` starts it"), "{told}");
    }
    wait::until("the page that says so", async || {
        let stopped = platform.get("shop.localhost", "/").await;
        (stopped.status == 503 && stopped.text().contains("This app is stopped")).then_some(())
    })
    .await;
    assert_eq!(alive(&app).await, 0, "no request wakes it");
    platform.cli(&["scale", "shop", "2"]).await.ok();
    has(&app, 2).await;
    assert_eq!(platform.get("shop.localhost", "/").await.text(), "hello");
}
