//! One app on a platform.

use serde_json::Value;
use skylift_model::wire::{Deployment, EnvChange};
use skylift_model::{AppName, DeploymentId, DeploymentState};

use crate::cli::Ran;
use crate::folder::Folder;
use crate::http::{Request, Response};
use crate::platform::Platform;
use crate::wait;

/// An app.
pub struct App<'p> {
    pub platform: &'p Platform,
    pub name: AppName,
}

impl App<'_> {
    /// Deploys a folder with the command line and waits until it is live.
    #[track_caller]
    pub fn deploy(&self, folder: &Folder) -> impl Future<Output = Deployment> {
        let place = std::panic::Location::caller();
        async move {
            let settled = self.attempt(folder).await;
            if settled.state != DeploymentState::Live {
                panic!("at {place}: {} {:?}\n{}", settled.state, settled.failure, self.log(&settled.id).await);
            }
            settled
        }
    }

    /// Deploys a folder and waits until it is settled, however that may be.
    pub async fn attempt(&self, folder: &Folder) -> Deployment {
        let accepted = self.begin(folder).await;
        self.settled(&accepted.id).await
    }

    /// Deploys a folder without waiting.
    pub async fn begin(&self, folder: &Folder) -> Deployment {
        let ran = self.cli_deploy(folder, &["--no-wait", "--json"]).await.ok();
        serde_json::from_value(ran.json()).unwrap()
    }

    /// Deploys a folder as somebody at a terminal would.
    pub async fn cli_deploy(&self, folder: &Folder, more: &[&str]) -> Ran {
        let arguments = [&["deploy", folder.arg(), "--app", self.name.as_str()], more].concat();
        self.platform.cli(&arguments).await
    }

    /// Sends an archive as a body.
    pub async fn post_archive(&self, archive: impl Into<Vec<u8>>) -> Response {
        let target = format!("/v1/apps/{}/deployments", self.name);
        self.platform.api(Request::post(&target).body(archive)).await
    }

    /// Waits until a deployment is settled.
    pub async fn settled(&self, id: &DeploymentId) -> Deployment {
        let client = self.platform.client();
        let limit = wait::PATIENCE * 5;
        tokio::time::timeout(limit, client.wait_until_settled(id, |_| {})).await.expect("settled in time").unwrap()
    }

    /// Waits until a deployment is in a state.
    pub async fn reaches(&self, id: &DeploymentId, state: DeploymentState) -> Deployment {
        let client = self.platform.client();
        wait::until(&format!("{id} {state}"), async || {
            let deployment = client.deployment(id).await.unwrap();
            let hopeless = deployment.state.is_settled() && deployment.state != state;
            assert!(!hopeless, "{id} is {}, not {state}: {:?}", deployment.state, deployment.failure);
            (deployment.state == state).then_some(deployment)
        })
        .await
    }

    /// Waits until the build log of a deployment has a line with that text.
    pub async fn logs_line(&self, id: &DeploymentId, text: &str) -> String {
        let client = self.platform.client();
        wait::until(&format!("{text} in the log of {id}"), async || {
            let lines = client.log_lines(id, None).await.unwrap();
            lines.into_iter().map(|line| line.text).find(|line| line.contains(text))
        })
        .await
    }

    /// The whole build log of a deployment.
    pub async fn log(&self, id: &DeploymentId) -> String {
        let lines = self.platform.client().log_lines(id, None).await.unwrap();
        let texts: Vec<_> = lines.into_iter().map(|line| format!("{} {}", line.step, line.text)).collect();
        texts.join("\n")
    }

    /// Its deployments, newest first.
    pub async fn deployments(&self) -> Vec<Deployment> {
        self.platform.client().deployments(&self.name).await.unwrap()
    }

    /// The id of what is live.
    pub async fn live(&self) -> Option<DeploymentId> {
        self.platform.client().app(&self.name).await.unwrap().live
    }

    /// Goes back to what was live before.
    pub async fn roll_back(&self) -> Deployment {
        self.platform.client().roll_back(&self.name, None).await.unwrap()
    }

    /// Goes back to a deployment.
    pub async fn roll_back_to(&self, to: &Deployment) -> Deployment {
        self.platform.client().roll_back(&self.name, Some(&to.id)).await.unwrap()
    }

    /// Sets an environment variable.
    pub async fn set_env(&self, name: &str, value: &str) {
        let change: EnvChange = serde_json::from_value(serde_json::json!({ "set": { name: value } })).unwrap();
        self.platform.client().change_env(&self.name, &change).await.unwrap();
    }

    /// Gets a page of what is live.
    pub async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path)).await
    }

    /// Sends a request to what is live.
    pub async fn send(&self, request: Request) -> Response {
        self.platform.send(request.host(&self.host())).await
    }

    /// Sends a request to the API below this app.
    pub async fn api(&self, method: &str, below: &str, body: Option<&Value>) -> Response {
        let request = Request::new(method, &format!("/v1/apps/{}{below}", self.name));
        self.platform.api(if let Some(body) = body { request.json(body) } else { request }).await
    }

    pub fn host(&self) -> String {
        format!("{}.localhost", self.name)
    }
}

/// The host of one deployment.
pub fn host_of(deployment: &Deployment) -> String {
    format!("{}.localhost", deployment.id)
}
