//! Launch templates: what instances are started from, and that a new version replaces them one by one.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "programs/load.rs"]
mod load;

use skylift_model::wire::{Instance, LaunchTemplate};
use skylift_model::{DeploymentState, InstanceState};
use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use skylift_tests::platform::Platform;
use skylift_tests::wait;

use load::Load;

/// A server that tells its variables and, while it has not been told to be sick, answers.
fn server(config: &str) -> Folder {
    let program = r#"
        const http = require('http');
        let sick = false;
        const server = http.createServer((request, response) => {
            const url = new URL(request.url, 'http://x');
            if (url.pathname === '/env') return response.end(process.env[url.searchParams.get('name')] ?? '-');
            if (url.pathname === '/sicken') { sick = true; return response.end('sick'); }
            if (url.pathname === '/up') { response.statusCode = sick ? 500 : 200; return response.end(); }
            if (url.pathname === '/slow') return setTimeout(() => response.end('one'), 400);
            if (request.method === 'POST') {
                let bytes = 0;
                request.on('data', piece => { bytes += piece.length; });
                return request.on('end', () => response.end('one ' + bytes));
            }
            response.end('one');
        });
        server.listen(process.env.PORT, process.env.HOST);
        process.on('SIGTERM', () => server.close(() => process.exit(0)));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program)
        .file("skylift.toml", config)
}

async fn ready(app: &App<'_>) -> Vec<Instance> {
    let list = app.platform.client().instances(&app.name).await.unwrap();
    list.instances.into_iter().filter(|instance| instance.state == InstanceState::Ready).collect()
}

async fn template(app: &App<'_>) -> LaunchTemplate {
    app.platform.client().template(&app.name).await.unwrap()
}

/// Waits until so many answer, all of the version in force, and no others; returns that version.
async fn refreshed(app: &App<'_>, count: usize) -> LaunchTemplate {
    wait::until("every instance of the template in force", async || {
        let (launch, ready) = (template(app).await, ready(app).await);
        let is_done = ready.len() == count && ready.iter().all(|one| one.template == Some(launch.version));
        is_done.then_some(launch)
    })
    .await
}

#[tokio::test]
async fn a_new_version_of_the_template_replaces_instances_one_by_one_without_a_failed_request() {
    let settings = "[[instance_type]]\nname = \"tiny\"\ncpu_millicores = 900\nmemory_bytes = 100663296\n";
    let platform = Platform::configured(settings).await;
    let app = platform.app("shop").await;
    app.deploy(&server("[instance]\ntype = \"small\"\n[scale]\nmin = 2\nmax = 2\nin_flight = 1000\n")).await;
    let first = refreshed(&app, 2).await;
    assert_eq!((first.version, first.template.instance.name.as_str()), (1, "small"), "as skylift.toml says");

    let load = Load::begin(platform.address(), "shop.localhost");
    platform.cli(&["scale", "shop", "--type", "tiny"]).await.ok();
    let second = refreshed(&app, 2).await;
    assert_eq!((second.version, second.template.instance.memory_bytes), (2, 96 << 20));
    let told = load.end().await;
    assert_eq!(told.failed, Vec::<String>::new());
    assert!(told.answers > 10, "{told:?}");

    let shown = platform.cli(&["ps", "shop", "--template"]).await.ok().stdout;
    for line in ["template 2", "tiny (0.9 CPU, 96 MiB)", "node server.js", "any answer over http1, every 5 s"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let json = platform.cli(&["ps", "shop", "--template", "--json"]).await.ok().stdout;
    assert_eq!(serde_json::from_str::<LaunchTemplate>(&json).unwrap().template, second.template);
    let unknown = platform.cli(&["scale", "shop", "--type", "huge"]).await;
    assert!(
        unknown.stderr.contains("there is no instance type `huge`; there are default, nano, small"),
        "{}",
        unknown.stderr
    );
    assert_eq!(template(&app).await.version, 2, "what is refused changes nothing");

    // What its owner chose counts before what the source says; without that, the source is refused before anything is built.
    app.deploy(&server("[instance]\ntype = \"huge\"\n[scale]\nmin = 1\n")).await;
    let other = platform.app("other").await;
    let refused = other.attempt(&server("[instance]\ntype = \"huge\"\n")).await;
    let failure = refused.failure.unwrap();
    assert_eq!(failure.step, "detect");
    assert!(
        failure.message.contains("no instance type `huge`; there are default, nano, small, medium, large, tiny"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn variables_reach_what_is_live_and_stay_with_its_deployment() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    platform.cli(&["env", "set", "shop", "GREETING=first"]).await.ok();
    let one = app.deploy(&server("[scale]\nmax = 1\n")).await;
    let told = async || platform.get("shop.localhost", "/env?name=GREETING").await.text();
    assert_eq!(told().await, "first");
    let load = Load::begin(platform.address(), "shop.localhost");
    platform.cli(&["env", "set", "shop", "GREETING=second"]).await.ok();
    assert_eq!(refreshed(&app, 1).await.template.environment.version, 2);
    assert_eq!(told().await, "second");
    assert_eq!(load.end().await.failed, Vec::<String>::new());

    let two = app.deploy(&server("[scale]\nmax = 1\n[env]\nOTHER = \"x\"\n")).await;
    platform.cli(&["env", "set", "shop", "GREETING=third"]).await.ok();
    wait::until("the third", async || (told().await == "third").then_some(())).await;
    platform.cli(&["rollback", "shop"]).await.ok();
    let back = refreshed(&app, 1).await;
    assert_eq!((&back.template.base.deployment, back.version), (&one.id, 2), "as it ran last, under the number it had");
    assert_eq!(told().await, "second");
    assert_ne!(one.id, two.id);
}

#[tokio::test]
async fn what_does_not_fit_the_node_is_not_started_and_says_what_is_missing() {
    let settings = "[instances]\nmemory_bytes = 134217728\nnode_memory_bytes = 402653184\n";
    let platform = Platform::configured(settings).await;
    let app = platform.app("shop").await;
    let live = app.deploy(&server("[scale]\nmin = 2\nmax = 5\nin_flight = 1000\n")).await;
    refreshed(&app, 2).await;
    let missing = "needs 128 MiB, the node has 0 MiB left of 384 MiB";
    platform.cli(&["scale", "shop", "5"]).await.ok();
    let waits = async |app: &App<'_>| app.platform.client().instances(&app.name).await.unwrap().waits_for;
    wait::until(missing, async || (waits(&app).await.as_deref() == Some(missing)).then_some(())).await;
    refreshed(&app, 3).await;
    for arguments in [&["ps", "shop"][..], &["scale", "shop", "--explain"]] {
        let shown = platform.cli(arguments).await.ok().stdout;
        assert!(shown.contains(missing), "{shown}");
    }
    // What another app cannot do without takes the room of an instance that this one can do without, and keeps it.
    let load = Load::begin(platform.address(), "shop.localhost");
    let other = platform.app("other").await;
    other.deploy(&server("[scale]\nmax = 2\nin_flight = 1000\n")).await;
    refreshed(&other, 1).await;
    assert_eq!(platform.get("other.localhost", "/").await.text(), "one");
    refreshed(&app, 2).await;
    let shown = platform.cli(&["scale", "shop", "--explain"]).await.ok().stdout;
    assert!(shown.contains("the node is full, and `other` had too few"), "{shown}");
    let shown = platform.cli(&["status"]).await.ok().stdout;
    assert!(shown.contains("3 instances may use 384.0 MiB of 384.0 MiB and 3 CPU of "), "{shown}");
    assert_eq!(load.end().await.failed, Vec::<String>::new());

    // Nobody can do without any now.
    let refused = app.attempt(&server("[scale]\nmin = 2\nmax = 2\n")).await;
    assert_eq!(refused.state, DeploymentState::Failed);
    let failure = refused.failure.unwrap();
    assert_eq!((failure.step.as_str(), failure.message.contains(missing)), ("start", true), "{failure:?}");
    assert_eq!(platform.get("shop.localhost", "/").await.text(), "one", "what was live goes on");
    let refused = platform.cli(&["restart", "other"]).await;
    assert!(refused.stderr.contains(missing) && refused.exit != 0, "{}", refused.stderr);
    platform.cli(&["scale", "other", "0"]).await.ok();

    // Room for two: the deploy goes through, since what leaves makes room for the next.
    platform.cli(&["scale", "shop", "2"]).await.ok();
    wait::until("room", async || waits(&app).await.is_none().then_some(())).await;
    refreshed(&app, 2).await;
    let second = app.deploy(&server("[scale]\nmin = 2\nmax = 5\nin_flight = 1000\n[env]\nA = \"b\"\n")).await;
    assert_eq!(refreshed(&app, 2).await.template.base.deployment, second.id);
    assert_ne!(second.id, live.id);
}

#[tokio::test]
async fn one_that_fails_its_checks_is_asked_nothing_more_and_is_replaced() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let checks = "[health]\npath = \"/up\"\ninterval_seconds = 1\nunhealthy_threshold = 2\nreplace_seconds = 2\n";
    let scale = "[scale]\nmin = 3\nmax = 3\nin_flight = 1000\n";
    let live = app.deploy(&server(&format!("{checks}{scale}"))).await;
    refreshed(&app, 3).await;
    let load = Load::begin(platform.address(), "shop.localhost");
    let before: Vec<_> = ready(&app).await.into_iter().map(|one| one.id).collect();
    assert_eq!(platform.get("shop.localhost", "/sicken").await.text(), "sick");
    let sick = wait::until("one that is unhealthy", async || {
        ready(&app).await.into_iter().find(|one| one.unhealthy_since.is_some())
    })
    .await;
    app.logs_line(&live.id, "unhealthy: GET /up was answered with the status 500").await;
    wait::until("another one in its place", async || {
        let now = ready(&app).await;
        (now.len() == 3 && now.iter().all(|one| one.id != sick.id && one.unhealthy_since.is_none())).then_some(())
    })
    .await;
    let stayed = ready(&app).await.iter().filter(|one| before.contains(&one.id)).count();
    assert_eq!((before.contains(&sick.id), stayed), (true, 2), "the others stay");
    assert_eq!(load.end().await.failed, Vec::<String>::new());
}
