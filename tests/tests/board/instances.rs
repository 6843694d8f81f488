//! The board on a platform: whichever instance answers, and whatever becomes of it, a message that was confirmed is there.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::time::Instant;

use skylift_model::wire::Instance;
use skylift_model::{InstanceId, InstanceState};
use skylift_peers::Dynamo;
use skylift_tests::app::App;
use skylift_tests::platform::Platform;
use skylift_tests::{process, skip, wait};

use super::source;
use super::visitor::{self, Visitor};

const HOST: &str = "board.localhost";
const TABLE: &str = "board-messages";

/// What the owner says of the table.
fn settings(server: &Dynamo) -> String {
    let variables = server.variables().into_iter().filter(|(name, _)| *name != "AWS_ENDPOINT_URL_DYNAMODB");
    let variables: Vec<String> = variables.map(|(name, value)| format!("{name} = \"{value}\"")).collect();
    format!(
        "[[service]]\nname = \"messages\"\nkind = \"dynamodb\"\nendpoint = \"{}\"\ntable = \"{TABLE}\"\napps = [\"board\"]\n\
         variables = {{ {} }}\n",
        server.endpoint(),
        variables.join(", ")
    )
}

async fn alive(app: &App<'_>) -> Vec<Instance> {
    let list = app.platform.client().instances(&app.name).await.unwrap();
    list.instances.into_iter().filter(|instance| instance.state != InstanceState::Ended).collect()
}

/// Waits until there are so many, all of them ready and none of them `gone`.
async fn has(app: &App<'_>, count: usize, gone: Option<&InstanceId>) -> Vec<Instance> {
    wait::until(&format!("{count} instances without {gone:?}"), async || {
        let alive = alive(app).await;
        let is_right = |one: &Instance| one.state == InstanceState::Ready && Some(&one.id) != gone;
        (alive.len() == count && alive.iter().all(is_right)).then_some(alive)
    })
    .await
}

/// Kills all processes of an instance at once, and waits until they are gone.
async fn kill(id: &InstanceId) {
    let killed = process::kill_all(&format!("SKYLIFT_INSTANCE={id}")).await;
    assert!(killed > 1, "a server and its workers");
}

/// The messages on all pages of the board, newest first.
async fn shown(app: &App<'_>) -> Vec<String> {
    let (mut texts, mut path) = (Vec::new(), "/".to_owned());
    loop {
        let page = app.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.brief());
        let html = page.text();
        texts.extend(html.split("<p>message-").skip(1).map(|rest| format!("message-{}", &rest[..5])));
        let Some((before, _)) = html.split_once("\" rel=\"next\"") else { return texts };
        path = before.rsplit_once("href=\"").unwrap().1.to_owned();
    }
}

#[tokio::test]
async fn whatever_becomes_of_instances_what_was_confirmed_is_stored_once() {
    let test = "whatever_becomes_of_instances_what_was_confirmed_is_stored_once";
    if !skip::unless_root(test) || !skip::unless_python_packages(test) || !skip::unless_one_network(test) {
        return;
    }
    let Some(server) = Dynamo::dynalite().await else { return };
    let platform = Platform::configured(&settings(&server)).await;
    let app = platform.app("board").await;
    platform.cli(&["deploy", source().to_str().unwrap(), "--app", "board"]).await.ok();
    // By hand alone: the processor's use says nothing on a machine that runs other tests.
    platform.cli(&["scale", "board", "--in-flight", "1000"]).await.ok();
    let visitor = Visitor::begin(platform.address(), HOST);

    platform.cli(&["scale", "board", "3"]).await.ok();
    let three = has(&app, 3, None).await;
    let (removed, killed) = (&three[0].id, &three[1].id);
    platform.client().end_instance(removed).await.unwrap();
    has(&app, 3, Some(removed)).await;
    let began = Instant::now();
    kill(killed).await;
    let gone = Instant::now();
    has(&app, 3, Some(killed)).await;
    platform.cli(&["scale", "board", "1"]).await.ok();
    has(&app, 1, None).await;

    let mut told = visitor.end().await;
    for lost in told.failed {
        // Only what a killed instance had may be lost; whoever sends it again may do so blindly.
        assert!(began <= lost.ended && lost.began <= gone, "{lost:?}");
        let again = visitor::post(platform.address(), HOST, &lost.text).await.unwrap();
        assert_eq!(again.status, 303, "{}", again.brief());
        told.posted.push(lost.text);
    }
    let twice = visitor::post(platform.address(), HOST, &told.posted[0]).await.unwrap();
    assert_eq!(twice.status, 303, "{}", twice.brief());
    let mut pages = shown(&app).await;
    pages.sort_unstable();
    told.posted.sort_unstable();
    assert_eq!(pages, told.posted);
    let counted = server.ask("Scan", &format!(r#"{{"TableName":"{TABLE}","Select":"COUNT"}}"#)).await;
    let counted: serde_json::Value = serde_json::from_str(&counted).unwrap();
    assert_eq!(counted["Count"], told.posted.len(), "{counted}");

    let ready = alive(&app).await;
    drop(server);
    let away = app.get("/").await;
    assert_eq!((away.status, away.header("retry-after")), (503, "5"), "{}", away.brief());
    assert!(away.text().contains("The messages cannot be reached right now"), "{}", away.brief());
    assert_eq!(app.get("/healthz").await.brief(), "200 ok");
    assert_eq!(alive(&app).await, ready, "nobody ends an instance because its table is away");
}
