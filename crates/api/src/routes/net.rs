//! `/v1/apps/{app}/net`.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use skylift_bus::{Message, Received};
use skylift_model::AppName;
use skylift_model::net::{NetRules, OutRule};
use skylift_model::wire::{ErrorEnvelope, Net};
use skylift_store::Done;
use tokio::time::timeout;

use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// How long nodes may take to say what they saw.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// The rules for an app's network, and what met them.
#[utoipa::path(get, path = "/v1/apps/{app}/net", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = Net), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_net(auth: Authorized, At(app): At<AppName>) -> Result<Json<Net>, ApiError> {
    let row = auth.store.app(app.clone()).await?;
    let mut net = Net { set: row.net, ..Net::default() };
    if let Some(live) = row.live
        && let Some(plan) = auth.store.deployment(live).await?.plan
    {
        (net.file, net.links) = (plan.net, plan.links);
    }
    let nodes = auth.store.instances(app.clone()).await?.into_iter().map(|instance| instance.node).collect();
    ask_nodes(&auth, app, nodes, &mut net).await;
    Ok(Json(net))
}

/// Set the rules for an app's network. They take the place of those that were set before, and come before those of its
/// `skylift.toml`. No rule opens what is private.
#[utoipa::path(put, path = "/v1/apps/{app}/net", tag = "apps", params(("app" = String, Path)), request_body = NetRules,
    responses((status = 200, body = NetRules), (status = 404, body = ErrorEnvelope), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn set_net(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(rules): Sent<NetRules>,
) -> Result<Response, ApiError> {
    rules.check().map_err(|error| ApiError::invalid(error.to_string(), "docs/net.md says what rules there are"))?;
    refuse_what_allows_nothing(&auth, &app, &rules).await?;
    let once = auth.once(StatusCode::OK, |_, rules: &NetRules| rules.clone())?;
    let done = auth.store.set_net(app.clone(), rules, once, auth.clock.now()).await?;
    if matches!(done, Done::Now(..)) {
        auth.bus.publish(Message::RoutesChanged(app.clone()));
        auth.bus.publish(Message::InstancesChanged(app));
    }
    Ok(answered(done))
}

/// Nobody who sets such a rule expects that. Those that are set already must not keep others from being changed.
async fn refuse_what_allows_nothing(auth: &Authorized, app: &AppName, rules: &NetRules) -> Result<(), ApiError> {
    let set = auth.store.app(app.clone()).await?.net;
    let is_new = |rule: &&OutRule| !set.out.contains(rule);
    match rules.out.iter().filter(is_new).find_map(|rule| (auth.never)(rule)) {
        Some((message, hint)) => Err(ApiError::invalid(message, hint)),
        None => Ok(()),
    }
}

/// Asks the nodes that run the app, each of which may be another process, over the bus.
async fn ask_nodes(auth: &Authorized, app: AppName, mut nodes: Vec<String>, net: &mut Net) {
    let mut messages = auth.bus.subscribe();
    auth.bus.publish(Message::NetAsked(app.clone()));
    let _those_in_time = timeout(TOLD_WITHIN, async {
        nodes.sort_unstable();
        nodes.dedup();
        while !nodes.is_empty() {
            match messages.next().await {
                Received::Message(Message::NetTold(about, node, json)) if about == app && nodes.contains(&node) => {
                    nodes.retain(|other| *other != node);
                    if let Ok(told) = serde_json::from_str(&json) {
                        net.add(told);
                    }
                }
                Received::Closed => return,
                Received::Message(_) | Received::Missed => {}
            }
        }
    })
    .await;
}
