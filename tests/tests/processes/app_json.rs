//! `app.json`: from a source to what runs.

use skylift_model::InstanceState;
use skylift_tests::{Folder, Platform, wait};

use super::{instances, server};

const APP_JSON: &str = r#"{
    "env": { "GREETING": "hello", "API_KEY": {}, "SESSION_SECRET": { "generator": "secret" } },
    "formation": { "worker": { "quantity": 2 } },
    "scripts": { "dokku": { "predeploy": "echo \"made with $SESSION_SECRET\" | tee made" } }
}"#;
const WEB: &str = "
    const made = require('fs').readFileSync('made', 'utf8').trim().split(' ').pop() === process.env.SESSION_SECRET;
    const says = [process.env.GREETING, process.env.SESSION_SECRET, made].join(' ');
    const server = require('http').createServer((request, response) => response.end(says));
    server.listen(process.env.PORT, process.env.HOST);
    process.on('SIGTERM', () => server.close(() => process.exit(0)));
";

#[tokio::test]
async fn what_it_says_reaches_what_runs_and_a_variable_that_is_missing_is_named() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let before = app.deploy(&server("without it", "")).await;
    let folder: Folder = server("", "worker: exec node -e 'setInterval(() => {}, 1000)'")
        .file("server.js", WEB)
        .file("app.json", APP_JSON);

    let failure = app.attempt(&folder).await.failure.unwrap();
    assert_eq!(failure.step, "detect");
    assert_eq!(failure.message, "the variable `API_KEY`, which app.json requires, is not set");
    assert!(failure.hint.unwrap().contains("`skylift env set shop API_KEY=…`"));
    assert_eq!(app.live().await, Some(before.id));

    app.set_env("API_KEY", "a key").await;
    let first = app.deploy(&folder).await;
    let said = app.get("/").await.text();
    let [greeting, secret, made] = said.split(' ').collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!((greeting, made), ("hello", "true"));
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    let log = app.log(&first.id).await;
    assert!(log.contains("made with ••••••") && !log.contains(secret), "{log}");
    assert!(platform.cli(&["env", "ls", "shop"]).await.ok().stdout.contains("SESSION_SECRET"));
    wait::until("two workers", async || {
        let is_one = |one: &_| matches!(one, skylift_model::wire::Instance { process, state: InstanceState::Ready, .. } if process == "worker");
        (instances(&app).await.iter().filter(|one| is_one(one)).count() == 2).then_some(())
    })
    .await;

    // Back to before there was one: the next deployment has the same all the same.
    app.roll_back().await;
    app.deploy(&folder).await;
    assert_eq!(app.get("/").await.text(), said);
}
