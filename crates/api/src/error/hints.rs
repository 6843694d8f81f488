//! What to do next about what the store refuses. One line for each refusal, so that none has a hint that fits another.

use skylift_model::DeploymentState;
use skylift_store::{Conflict, Missing};

/// What to do about something that is not there.
pub(super) fn missing(what: &Missing) -> String {
    match what {
        Missing::App(_) => "check the name; `skylift apps` lists what there is".to_owned(),
        Missing::Deployment(_) => "`skylift deployments` lists those that are kept".to_owned(),
        Missing::DeploymentOf { app, .. } => format!("`skylift deployments {app}` lists those that are kept"),
        Missing::Upload(_) | Missing::UploadOf { .. } => {
            "send the list of files again, which opens a new upload; one that no deployment uses is kept for a day"
                .to_owned()
        }
        Missing::Instance(_) => "`skylift ps APP` lists those that run and the last that ended".to_owned(),
        Missing::Rollout(_) => "a deployment that runs has one from the moment its instances are started".to_owned(),
        Missing::Process { has, .. } => {
            format!("what is live has {}; another line of the Procfile comes with its deployment", has.join(", "))
        }
        Missing::Volume { app, .. } => format!("`skylift volume ls --app {app}` lists what there is"),
        Missing::Database { app, .. } => format!("`skylift db ls --app {app}` lists what there is"),
        Missing::Key(_) => "`skylift keys ls` lists those that work".to_owned(),
        Missing::Run(_) => {
            "ask for it with the key that sent it; `GET /v1/runs` lists those that are kept. One whose client waits for its end or its \
             stream is not, and ends where that connection is closed"
                .to_owned()
        }
        Missing::DeadJob(_) => "`skylift jobs --dead` lists those that can be replayed".to_owned(),
    }
}

/// What to do where the state of things is in the way.
pub(super) fn conflict(why: &Conflict) -> String {
    match why {
        Conflict::AppExists(app) => format!("deploy to it (`skylift deploy --app {app}`), or choose another name"),
        Conflict::UploadIncomplete { .. } => {
            "send the blobs that were answered as `missing`; sending the list of files again names those that still are"
                .to_owned()
        }
        Conflict::Transition { .. } => "deploy again; `skylift deployments` shows the state of each".to_owned(),
        Conflict::Settled { state: DeploymentState::Live, .. } => {
            "`skylift rollback APP` makes live what was before".to_owned()
        }
        Conflict::Settled { .. } => "nothing runs for it any more; `skylift deployments` shows what does".to_owned(),
        Conflict::NothingBelow(app) => {
            format!("`skylift deployments {app}` lists what is kept; for anything older, deploy its source again")
        }
        Conflict::LiveAlready(_) => "leave it as it is, or name another deployment".to_owned(),
        Conflict::NeverLive { .. } => {
            "name one whose state is `previous`; `skylift deployments APP` lists them".to_owned()
        }
        Conflict::LiveChanged(app) => {
            format!("somebody else deployed or rolled back; look at `skylift deployments {app}` and decide again")
        }
        Conflict::UnknownKind { .. } => "start the newer version: the job waits for it".to_owned(),
        Conflict::OutOfBounds { app, wanted, max, .. } => {
            let bound = if wanted > max { "max" } else { "min" };
            format!("`skylift scale {app} --{bound} {wanted}` changes that")
        }
        Conflict::RunSettled { run, .. } => format!("`GET /v1/runs/{run}` tells what came of it"),
        Conflict::RunNotDead { .. } => "`GET /v1/runs?state=dead` lists those that were given up".to_owned(),
        Conflict::NoRollout(app) => format!("`skylift rollout {app}` shows how the last one ended"),
        Conflict::RolloutIs { app, .. } => format!("`skylift rollout {app}` shows how it stands"),
        Conflict::NothingRuns(app) => {
            format!(
                "deploy a project that listens on $PORT (`skylift deploy --app {app}`); files alone have no instances"
            )
        }
        Conflict::IsSite(_) => "there is nothing to scale: the edge serves any load from its own files".to_owned(),
        Conflict::NoSuchType(_) => {
            "`skylift scale APP --type NAME` chooses another; the platform's owner adds one with [[instance_type]]"
                .to_owned()
        }
        Conflict::VolumeExists { app, .. } => {
            format!(
                "choose another name; `skylift db ls --app {app}` and `skylift volume ls --app {app}` list what there is"
            )
        }
        Conflict::PathTaken { .. } => "name another place with `--path /data2`".to_owned(),
        Conflict::OneWriter { app, .. } => format!(
            "two instances would write at a time; `skylift scale {app} --max 1` bounds it to one, a database on a PostgreSQL server \
             or a volume with `--shared` bears more"
        ),
        Conflict::RollsOut(app) => {
            format!(
                "wait until it is over, or `skylift rollout {app} abort`; two versions stand side by side as long as it lasts"
            )
        }
        Conflict::KeepsData { app, .. } => format!(
            "`skylift rm {app} --with-data` removes it, too; `skylift db rm` and `skylift volume rm` remove one after the other"
        ),
        Conflict::EnvChanged(_) => "somebody else changes it at the same time; send the change again".to_owned(),
    }
}
