//! Instances that live and do not answer: stopped, out of descriptors, another process at their port. And ones that only take their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use skylift_tests::process;
use tokio::time::timeout;

use super::*;

const CLIENTS: usize = 6;
/// How long each of them waits for an answer.
const PATIENT_FOR: Duration = Duration::from_secs(2);

/// A server in Node that says which instance it is, and does what it is asked to its own harm.
fn fragile(health: &str) -> Folder {
    let program = r#"
        const { spawn } = require('child_process');
        const { once } = require('events');
        const me = process.env.SKYLIFT_INSTANCE;
        const server = require('http').createServer((request, response) => {
            if (request.url === '/slow') return setTimeout(() => response.end(me), 3000);
            if (request.url === '/leak') {
                // A connection that ends leaves room for another: it is taken, too.
                const leak = () => { try { for (;;) require('fs').openSync('/dev/null'); } catch {} };
                return response.end(me, () => setInterval(leak, 1));
            }
            if (request.url === '/steal') {
                // All are there before anybody is told; from then on only the port changes hands. The shell that becomes `sleep` would
                // have waited for those that end before.
                const zombies = 'exec 3<&0; i=0; while [ $i -lt 20 ]; do read x <&3 & i=$((i+1)); done; echo; exec sleep 1000';
                const parent = spawn('sh', ['-c', zombies]);
                const listens = `require('net').createServer(to => to.end('no HTTP')).listen(${process.env.PORT})`;
                const thief = spawn(process.execPath, ['-e', `process.stdin.once('data', () => ${listens}); console.log()`]);
                Promise.all([parent, thief].map(child => once(child.stdout, 'data'))).then(() => response.end(me, () => {
                    parent.stdin.end();
                    server.close(() => thief.stdin.write('now'));
                    server.closeAllConnections();
                }));
                return;
            }
            response.end(me);
        });
        server.listen(process.env.PORT);
        process.on('SIGTERM', () => process.exit(0));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program)
        .file("skylift.toml", format!("[health]\n{health}[scale]\nmin = 3\nmax = 3\nin_flight = 1000\n"))
}

const OFTEN: &str = "interval_seconds = 1\ntimeout_seconds = 1\nunhealthy_threshold = 2\nreplace_seconds = 1\n";

/// When what was lost was asked.
async fn count(platform: &Platform, stop: Arc<AtomicBool>) -> (u64, Vec<Instant>) {
    let clients = (0..CLIENTS).map(|_| {
        let (to, stop) = (platform.address(), stop.clone());
        tokio::spawn(async move {
            let (mut answered, mut lost) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answer = timeout(PATIENT_FOR, Request::get("/").host("shop.localhost").try_send(to)).await;
                match answer {
                    Ok(Some(answer)) if answer.status == 200 => answered += 1,
                    _ => lost.push(asked),
                }
            }
            (answered, lost)
        })
    });
    let mut all = (0, Vec::new());
    for client in clients.collect::<Vec<_>>() {
        let (answered, lost) = client.await.unwrap();
        all.0 += answered;
        all.1.extend(lost);
    }
    all
}

/// Waits until an instance has ended for not answering, and another has taken its place; says why.
async fn replaced(app: &App<'_>, live: &DeploymentId, id: &skylift_model::InstanceId) -> String {
    let why = wait::until("its end, and why", async || {
        let ended = instances(app).await.into_iter().find(|one| one.id == *id && one.state == InstanceState::Ended);
        ended.and_then(|one| one.reason)
    })
    .await;
    has(app, live, 3).await;
    why
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the test")]
async fn one_that_is_stopped_is_asked_nothing_more_and_is_replaced_with_the_cause_told() {
    if !skylift_tests::skip::unless_root(
        "one_that_is_stopped_is_asked_nothing_more_and_is_replaced_with_the_cause_told",
    ) {
        return;
    }
    let platform = Platform::configured("[instances]\ngrace_seconds = 1\ndrain_seconds = 1\n").await;
    let app = platform.app("shop").await;
    let live = app.deploy(&fragile(OFTEN)).await.id;
    has(&app, &live, 3).await;
    let stop = Arc::new(AtomicBool::new(false));
    let counting = count(&platform, stop.clone());
    let stopping = async {
        let one = running(&app, &live).await.swap_remove(0).id;
        let began = Instant::now();
        for pid in process::with_marker(&format!("SKYLIFT_INSTANCE={one}")) {
            let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
            kill_process(pid, Signal::STOP).unwrap();
        }
        let why = replaced(&app, &live, &one).await;
        stop.store(true, Ordering::Relaxed);
        (began, why)
    };
    let ((answered, lost), (began, why)) = tokio::join!(counting, stopping);
    let last = lost.iter().max().map_or(0, |asked| asked.saturating_duration_since(began).as_millis());
    eprintln!(
        "figure: one of 3 instances stopped: {answered} answered, {} lost, the last asked {last} ms after",
        lost.len()
    );
    assert!(
        why.contains("stopped answering: no answer came within 4 s; `node`, which listens on PORT, was stopped"),
        "{why}"
    );
    // Whoever is stuck there comes back once; without the rule it is asked for as long as it is there.
    assert!(lost.len() <= 2 * CLIENTS && answered > 100, "{answered} answered, {} lost", lost.len());
    let shown = platform.cli(&["ps", "shop", "--why"]).await.ok().stdout;
    assert!(shown.contains("was stopped by a signal"), "{shown}");
}

#[tokio::test]
async fn what_keeps_one_from_answering_is_named() {
    let platform = Platform::configured("[instances]\ngrace_seconds = 1\ndrain_seconds = 1\n").await;
    let app = platform.app("shop").await;
    let live = app.deploy(&fragile(OFTEN)).await.id;
    has(&app, &live, 3).await;
    for (harm, cause) in [
        ("/leak", "files and connections open that it may have"),
        ("/steal", "`node` listens on PORT; 20 of its processes have ended and nobody waits for them"),
    ] {
        let harmed = says(&app, harm).await.parse().unwrap();
        let why = replaced(&app, &live, &harmed).await;
        assert!(why.starts_with("stopped answering: ") && why.contains(cause), "{harm}: {why}");
    }
}

/// The control: one request that takes its time, or many, say nothing of an instance that answers.
#[tokio::test]
async fn ones_that_take_their_time_stay() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let live = app.deploy(&fragile(OFTEN)).await.id;
    has(&app, &live, 3).await;
    let ids = async || running(&app, &live).await.into_iter().map(|one| one.id).collect::<BTreeSet<_>>();
    let before = ids().await;
    let slow = (0..9).map(|_| tokio::spawn(Request::get("/slow").host("shop.localhost").send(platform.address())));
    let slow: Vec<_> = slow.collect();
    let mut answered = BTreeSet::new();
    for _ in 0..100 {
        answered.insert(says(&app, "/").await.parse().unwrap());
    }
    for one in slow {
        assert_eq!(one.await.unwrap().status, 200);
    }
    assert_eq!(ids().await, before);
    assert!(!app.log(&live).await.contains("unhealthy"));
    // Somebody is asked after so many slow ones who answers at once.
    wait::until("all of them are asked", async || {
        answered.insert(says(&app, "/").await.parse().unwrap());
        (answered == before).then_some(())
    })
    .await;
}
