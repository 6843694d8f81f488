//! Event streams against a server that breaks them.

use http::Method;
use skylift_client::{Client, ClientError};
use skylift_model::wire::GitSource;
use skylift_model::{AppName, DeploymentId, DeploymentState};

use crate::fake::{Fake, TOKEN};

/// A server with one deployment, whose log has `lines` lines.
async fn deployed(lines: usize) -> (Fake, Client, DeploymentId) {
    let fake = Fake::start();
    fake.create_app("hello");
    fake.state().script.log = (1..=lines).map(|number| format!("line {number}")).collect();
    let client = Client::new(fake.url().parse().unwrap(), Some(TOKEN)).unwrap();
    let app: AppName = "hello".parse().unwrap();
    let git = GitSource { url: "https://example.com/x".to_owned(), branch: None, token: None, deploy_key: None };
    let id = client.deploy_git(&app, git, None).await.unwrap().id;
    (fake, client, id)
}

async fn followed(client: &Client, id: &DeploymentId, tail: Option<u64>) -> Result<Vec<u64>, ClientError> {
    let mut seen = Vec::new();
    client.follow_log(id, tail, |line| seen.push(line.seq)).await.map(|()| seen)
}

#[tokio::test]
async fn a_broken_stream_goes_on_after_the_last_line_seen() {
    let (fake, client, id) = deployed(10).await;
    fake.state().script.breaks = Some(("/logs", 3, 2));

    assert_eq!(followed(&client, &id, None).await.unwrap(), (1..=10).collect::<Vec<_>>());

    let asked = fake.seen(Method::GET, "/v1/deployments/*/logs");
    let resumed: Vec<_> = asked.iter().map(|seen| seen.header("last-event-id")).collect();
    assert_eq!(resumed, [None, Some("2"), Some("4"), Some("6")]);
}

#[tokio::test]
async fn the_tail_counts_at_first_only() {
    let (fake, client, id) = deployed(10).await;
    fake.state().script.breaks = Some(("tail=4", 1, 1));
    assert_eq!(followed(&client, &id, Some(4)).await.unwrap(), [7, 8, 9, 10]);
    let asked = fake.seen(Method::GET, "/v1/deployments/*/logs");
    assert!(asked[0].path.ends_with("?follow=true&tail=4") && asked[1].path.ends_with("?follow=true"), "{asked:?}");
}

#[tokio::test]
async fn waiting_survives_broken_streams_and_tells_each_event_once() {
    let (fake, client, id) = deployed(0).await;
    fake.state().script.breaks = Some(("/events", 2, 1));
    let mut states = Vec::new();
    let deployment = client.wait_until_settled(&id, |event| states.push(event.state)).await.unwrap();
    use DeploymentState::{Building, Deploying, Live, Queued};
    assert_eq!(states, [Queued, Building, Deploying, Live]);
    assert_eq!(deployment.state, Live);
}

#[tokio::test]
async fn a_stream_that_never_stops_breaking_is_given_up() {
    let (fake, client, id) = deployed(3).await;
    fake.state().script.says = Some(("/logs", 503, "not now".to_owned()));
    let error = followed(&client, &id, None).await.unwrap_err();
    assert!(error.is_connection(), "{error:?}");
    assert!(fake.seen(Method::GET, "/v1/deployments/*/logs").len() > 2);
}

#[tokio::test]
async fn what_is_no_event_stream_is_an_error_rather_than_an_empty_log() {
    let (fake, client, id) = deployed(3).await;
    fake.state().script.id_shift = 1;
    assert!(matches!(followed(&client, &id, None).await, Err(ClientError::Protocol { .. })));
    fake.state().script.says = Some(("/logs", 200, "<html>".to_owned()));
    assert!(matches!(client.log_lines(&id, None).await, Err(ClientError::Protocol { .. })));
}
