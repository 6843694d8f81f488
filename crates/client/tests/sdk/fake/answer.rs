//! What the fake server answers.

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use skylift_model::source::Source;
use skylift_model::wire::{
    App, AppList, Code, CreateApp, CreateDeployment, CreateKey, CreateUpload, Deployment, DeploymentList, EnvChange,
    EnvList, EnvVar, ErrorBody, ErrorEnvelope, FileList, Key, KeyList, RollBack, Upload,
};
use skylift_model::{AppName, DeploymentId, DeploymentState, Digest, FileEntry, JobId, Timestamp, TokenId, UploadId};

use super::stream::sse;
use super::{Answer, Seen, State, TOKEN, events, log_lines};

pub(super) fn answer(state: &mut State, seen: &Seen) -> Answer {
    if let Some((path, status, body)) = &state.script.says
        && seen.path.contains(*path)
    {
        return plain(*status, body.clone());
    }
    if seen.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return error(Code::Unauthorized, "the token is not known");
    }
    let path = seen.path.clone();
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match (&seen.method, parts.as_slice()) {
        (&Method::GET, ["status"]) => json(&status()),
        (&Method::GET, ["jobs"]) => json(&serde_json::json!({ "jobs": [job()] })),
        (&Method::POST, ["jobs", _, "replay"]) => plain(204, ""),
        (&Method::POST, ["gc"]) => {
            json(&serde_json::json!({ "deployments": 1, "blobs": 2, "bytes": 2048, "bytes_left": 0 }))
        }
        (&Method::GET, ["runs", "connect"]) => error(Code::Conflict, "runs are run elsewhere"),
        (&Method::POST, ["runs"]) => plain(200, state.script.run.to_string()),
        (&Method::GET, ["languages"]) => json(&serde_json::json!({ "languages": [language()] })),
        (&Method::GET, ["keys"]) => json(&KeyList { keys: state.keys.clone() }),
        (&Method::POST, ["keys"]) => json(&create_key(state, seen)),
        (&Method::DELETE, ["keys", id]) => {
            state.keys.retain(|key| key.id.as_str() != *id);
            plain(204, "")
        }
        (&Method::GET, ["apps"]) => json(&AppList { apps: state.apps.values().cloned().collect() }),
        (&Method::POST, ["apps"]) => create_app(state, seen),
        (&Method::GET, ["deployments"]) => json(&DeploymentList { deployments: state.deployments.clone() }),
        (method, ["apps", app, rest @ ..]) => match app.parse() {
            Ok(app) if state.apps.contains_key(&app) => of_app(state, seen, method, &app, rest),
            _ => error(Code::NotFound, "there is no such app"),
        },
        (&Method::PUT, ["uploads", id, "blobs", digest]) => put_blob(state, seen, id, digest),
        (&Method::POST, ["uploads", id, "blobs"]) => post_blobs(state, seen, id),
        (method, ["deployments", id, rest @ ..]) => of_deployment(state, seen, method, id, rest),
        _ => error(Code::NotFound, "there is no such endpoint"),
    }
}

fn of_app(state: &mut State, seen: &Seen, method: &Method, app: &AppName, rest: &[&str]) -> Answer {
    match (method, rest) {
        (&Method::GET, []) => json(&state.apps[app]),
        (&Method::DELETE, []) => {
            state.apps.remove(app);
            plain(204, "")
        }
        (&Method::POST, ["uploads"]) => create_upload(state, seen, app),
        (&Method::POST, ["deployments"]) => create_deployment(state, seen, app),
        (&Method::GET, ["deployments"]) => json(&DeploymentList { deployments: state.deployments.clone() }),
        (&Method::GET, ["logs"]) => sse(state, seen, &log_lines(&state.script)),
        (&Method::GET, ["env"]) => json(&env(state)),
        (&Method::PATCH, ["env"]) => {
            let change: EnvChange = serde_json::from_slice(&seen.body).unwrap();
            state.env.extend(change.set.into_iter().map(|(name, value)| (name.to_string(), value)));
            state.env.retain(|name, _| change.unset.iter().all(|unset| unset.as_str() != name));
            json(&env(state))
        }
        (&Method::POST, ["rollback"]) => {
            let _: RollBack = serde_json::from_slice(&seen.body).unwrap();
            match state.deployments.last() {
                Some(deployment) => json(deployment),
                None => error(Code::Conflict, "nothing was live before"),
            }
        }
        _ => error(Code::NotFound, "there is no such endpoint"),
    }
}

fn of_deployment(state: &mut State, seen: &Seen, method: &Method, id: &str, rest: &[&str]) -> Answer {
    let Some(deployment) = state.deployments.iter_mut().find(|deployment| deployment.id.as_str() == id) else {
        return error(Code::NotFound, "there is no such deployment");
    };
    match (method, rest) {
        (&Method::GET, []) => json(deployment),
        (&Method::POST, ["cancel"]) if deployment.state.is_settled() => error(Code::Conflict, "it is over"),
        (&Method::POST, ["cancel"]) => {
            deployment.state = DeploymentState::Cancelled;
            json(deployment)
        }
        (&Method::GET, ["events"]) => sse(state, seen, &events(&state.script)),
        (&Method::GET, ["logs"]) => sse(state, seen, &log_lines(&state.script)),
        (&Method::GET, ["output"] | ["build"]) => json(&FileList { files: state.source.clone() }),
        (&Method::GET, ["build", "page.html"]) => plain(200, "<h1>\u{1b}[2J\n"),
        _ => error(Code::NotFound, "there is no such file"),
    }
}

pub(super) fn new_app(name: AppName) -> App {
    let url = format!("http://{name}.localhost:8080");
    App { name, url, live: None, generation: 0, created_at: Timestamp::from_millis(0) }
}

fn create_app(state: &mut State, seen: &Seen) -> Answer {
    let app: CreateApp = serde_json::from_slice(&seen.body).unwrap();
    json(state.apps.entry(app.name.clone()).or_insert_with(|| new_app(app.name)))
}

fn create_upload(state: &mut State, seen: &Seen, app: &AppName) -> Answer {
    let upload: CreateUpload = serde_json::from_slice(&seen.body).unwrap();
    let id = UploadId::new(Timestamp::from_millis(1), state.uploads.len() as u64);
    let is_missing = |file: &&FileEntry| !state.stored.contains(&(app.clone(), file.sha256));
    let mut missing: Vec<Digest> = upload.files.iter().filter(is_missing).map(|file| file.sha256).collect();
    missing.sort_unstable();
    missing.dedup();
    state.uploads.insert(id.to_string(), (app.clone(), upload.files));
    json(&Upload { id, missing })
}

fn put_blob(state: &mut State, seen: &Seen, id: &str, digest: &str) -> Answer {
    let (Some((app, _)), Ok(digest)) = (state.uploads.get(id), digest.parse::<Digest>()) else {
        return error(Code::NotFound, "there is no such upload");
    };
    if Digest::of(&seen.body) != digest {
        return error(Code::Invalid, "these are not the bytes of that digest");
    }
    state.stored.insert((app.clone(), digest));
    plain(204, "")
}

/// Blob after blob, each behind its length.
fn post_blobs(state: &mut State, seen: &Seen, id: &str) -> Answer {
    let Some((app, _)) = state.uploads.get(id) else {
        return error(Code::NotFound, "there is no such upload");
    };
    let mut rest = &seen.body[..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (blob, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        state.stored.insert((app.clone(), Digest::of(blob)));
        rest = after;
    }
    plain(204, "")
}

fn create_deployment(state: &mut State, seen: &Seen, app: &AppName) -> Answer {
    let source = if seen.header("content-type") == Some("application/json") {
        let request: CreateDeployment = serde_json::from_slice(&seen.body).unwrap();
        match (request.upload, request.git) {
            (Some(upload), None) => {
                state.source = state.uploads[upload.as_str()].1.clone();
                if state.source.iter().any(|file| !state.stored.contains(&(app.clone(), file.sha256))) {
                    return error(Code::Conflict, "the upload is not complete");
                }
                Source::Folder
            }
            (None, Some(git)) => Source::Git { url: git.url, branch: git.branch, commit: None },
            _ => return error(Code::Invalid, "one source, please"),
        }
    } else {
        Source::Archive
    };
    let id = DeploymentId::new(Timestamp::from_millis(1), state.deployments.len() as u64);
    let ends = state.script.ends.unwrap_or(DeploymentState::Live);
    let mut deployment = Deployment {
        url: format!("http://{id}.localhost:8080"),
        app_url: format!("http://{app}.localhost:8080"),
        id,
        app: app.clone(),
        state: DeploymentState::Queued,
        source,
        dir: None,
        plan: None,
        artifact: None,
        queue_position: Some(3),
        failure: None,
        created_at: Timestamp::from_millis(0),
        started_at: None,
        finished_at: None,
    };
    let accepted = json(&deployment);
    (deployment.state, deployment.failure) = (ends, state.script.failure.clone());
    state.deployments.insert(0, deployment);
    accepted
}

fn env(state: &State) -> EnvList {
    let variable = |name: &String| EnvVar { name: name.parse().unwrap(), updated_at: Timestamp::from_millis(0) };
    EnvList { version: 2, variables: state.env.keys().map(variable).collect() }
}

fn status() -> serde_json::Value {
    serde_json::json!({
        "version": "9.9.9", "uptime_ms": 61_000, "healthy": true, "problems": [], "apps": 1, "deployments": 2,
        "queues": [{ "kind": "build", "ready": 1, "leased": 0, "dead": 0, "oldest_ms": 1500 }],
        "disk": { "used_bytes": 1, "budget_bytes": 2, "free_bytes": 3, "reserve_bytes": 4 },
        "memory": { "resident_bytes": 5, "available_bytes": 6 },
        "sandbox": { "complete": false, "missing": ["cgroups: no limits"] },
    })
}

fn language() -> serde_json::Value {
    serde_json::json!({ "name": "python", "aliases": ["py"], "version": "3.11.2", "file_name": "main.py", "compiled": false })
}

fn create_key(state: &mut State, seen: &Seen) -> Key {
    let CreateKey { name, scopes, .. } = serde_json::from_slice(&seen.body).unwrap();
    let key = Key {
        id: TokenId::new(Timestamp::from_millis(1), state.keys.len() as u64),
        name,
        key: None,
        scopes,
        created_at: Timestamp::from_millis(0),
        expires_at: None,
        rate: None,
        at_once: None,
        quota: None,
        priority_max: None,
        today: None,
        ai: None,
    };
    state.keys.push(key.clone());
    Key { key: Some("skylift_key_x".to_owned()), ..key }
}

fn job() -> serde_json::Value {
    serde_json::json!({
        "id": JobId::new(Timestamp::from_millis(1), 1), "kind": "build", "subject": "d-1", "state": "dead",
        "attempts": 3, "error": "gave up", "created_at": "2026-01-02T03:04:05Z",
    })
}

fn json(value: &impl Serialize) -> Answer {
    let body = Bytes::from(serde_json::to_vec(value).unwrap());
    Response::builder().header("content-type", "application/json").body(full(body)).unwrap()
}

/// An answer that says "not now", in the server's words.
pub(super) fn busy(status: u16, after: &str) -> Answer {
    let code = if status == 429 { Code::RateLimited } else { Code::Unavailable };
    let mut answer = error(code, "not now");
    answer.headers_mut().insert("retry-after", after.parse().unwrap());
    answer
}

pub(super) fn error(code: Code, message: &str) -> Answer {
    let error =
        ErrorBody { code, message: message.to_owned(), hint: "do it otherwise".to_owned(), retry_after_s: None };
    let mut answer = json(&ErrorEnvelope { error });
    *answer.status_mut() = code.status().try_into().unwrap();
    answer
}

fn plain(status: u16, body: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(full(body.into())).unwrap()
}

fn full(body: Bytes) -> http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error> {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}
