//! Apps and their environments.

use http::Method;
use skylift_model::net::NetRules;
use skylift_model::wire::{
    App, AppList, ChooseType, ChosenType, CreateApp, EnvChange, EnvList, Instance, InstanceList, LaunchTemplate, Net,
    Purge, Purged, Restarted, Rollout, RunCommand, Scaling, ScalingExplained, SetInstances,
};
use skylift_model::{AppName, InstanceId};

use crate::request::Call;
use crate::{Client, ClientError};

impl Client {
    /// Creates an app.
    pub async fn create_app(&self, name: &AppName) -> Result<App, ClientError> {
        self.json(Call::post("/v1/apps").json(&CreateApp { name: name.clone() })).await
    }

    /// Every app, by name.
    pub async fn apps(&self) -> Result<Vec<App>, ClientError> {
        self.json::<AppList>(Call::get("/v1/apps")).await.map(|list| list.apps)
    }

    /// One app.
    pub async fn app(&self, name: &AppName) -> Result<App, ClientError> {
        self.json(Call::get(format!("/v1/apps/{name}"))).await
    }

    /// Deletes an app with everything that belongs to it.
    pub async fn delete_app(&self, name: &AppName) -> Result<(), ClientError> {
        self.done(Call::new(Method::DELETE, format!("/v1/apps/{name}"))).await
    }

    /// Drops answers of other hosts that are kept for an app.
    pub async fn purge(&self, app: &AppName, purge: &Purge) -> Result<Purged, ClientError> {
        self.json(Call::post(format!("/v1/apps/{app}/purge")).json(purge)).await
    }

    /// The names of an app's environment variables. No answer carries values.
    pub async fn env(&self, app: &AppName) -> Result<EnvList, ClientError> {
        self.json(Call::get(format!("/v1/apps/{app}/env"))).await
    }

    /// How many instances an app should have, and those there are.
    pub async fn instances(&self, app: &AppName) -> Result<InstanceList, ClientError> {
        self.json(Call::get(format!("/v1/apps/{app}/instances"))).await
    }

    /// How an app is scaled.
    pub async fn scaling(&self, app: &AppName) -> Result<Scaling, ClientError> {
        self.json(Call::new(Method::GET, format!("/v1/apps/{app}/scaling"))).await
    }

    /// Sets how an app is scaled.
    pub async fn set_scaling(&self, app: &AppName, scaling: &Scaling) -> Result<Scaling, ClientError> {
        self.json(Call::new(Method::PUT, format!("/v1/apps/{app}/scaling")).json(scaling)).await
    }

    /// Leaves it to the `skylift.toml` of what is live how an app is scaled.
    pub async fn reset_scaling(&self, app: &AppName) -> Result<Scaling, ClientError> {
        self.json(Call::new(Method::DELETE, format!("/v1/apps/{app}/scaling"))).await
    }

    /// The rules for an app's network, and what met them.
    pub async fn net(&self, app: &AppName) -> Result<Net, ClientError> {
        self.json(Call::new(Method::GET, format!("/v1/apps/{app}/net"))).await
    }

    /// Sets the rules for an app's network that are set by command.
    pub async fn set_net(&self, app: &AppName, rules: &NetRules) -> Result<NetRules, ClientError> {
        self.json(Call::new(Method::PUT, format!("/v1/apps/{app}/net")).json(rules)).await
    }

    /// What new instances of what is live of an app are started from.
    pub async fn template(&self, app: &AppName) -> Result<LaunchTemplate, ClientError> {
        self.json(Call::get(format!("/v1/apps/{app}/template"))).await
    }

    /// The instance type that was chosen for an app, and those there are.
    pub async fn instance_type(&self, app: &AppName) -> Result<ChosenType, ClientError> {
        self.json(Call::get(format!("/v1/apps/{app}/instance-type"))).await
    }

    /// Chooses the instance type of an app.
    pub async fn set_instance_type(&self, app: &AppName, chosen: &ChooseType) -> Result<ChosenType, ClientError> {
        self.json(Call::new(Method::PUT, format!("/v1/apps/{app}/instance-type")).json(chosen)).await
    }

    /// Why an app has as many instances as it has.
    pub async fn explain_scaling(&self, app: &AppName) -> Result<ScalingExplained, ClientError> {
        self.json(Call::new(Method::GET, format!("/v1/apps/{app}/scaling/explain"))).await
    }

    /// Sets how many instances a process of an app should have.
    pub async fn set_instances(&self, app: &AppName, set: &SetInstances) -> Result<SetInstances, ClientError> {
        self.json(Call::new(Method::PUT, format!("/v1/apps/{app}/instances")).json(set)).await
    }

    /// Replaces every instance of an app, one by one, and waits until none from before takes requests.
    pub async fn restart(&self, app: &AppName) -> Result<Restarted, ClientError> {
        self.json(Call::post(format!("/v1/apps/{app}/restart"))).await
    }

    /// The rollout of an app that is under way, or its last.
    pub async fn rollout(&self, app: &AppName) -> Result<Rollout, ClientError> {
        self.json(Call::get(format!("/v1/apps/{app}/rollout"))).await
    }

    /// Says something to the rollout that is under way: `pause`, `resume`, `promote` or `abort`.
    pub async fn steer_rollout(&self, app: &AppName, how: &str) -> Result<Rollout, ClientError> {
        self.json(Call::post(format!("/v1/apps/{app}/rollout/{how}"))).await
    }

    /// Has a command run once beside what is live of an app.
    pub async fn run_command(&self, app: &AppName, command: Vec<String>) -> Result<Instance, ClientError> {
        self.json(Call::post(format!("/v1/apps/{app}/run")).json(&RunCommand { command })).await
    }

    /// One instance that runs, or ended lately.
    pub async fn instance(&self, id: &InstanceId) -> Result<Instance, ClientError> {
        self.json(Call::get(format!("/v1/instances/{id}"))).await
    }

    /// Ends an instance.
    pub async fn end_instance(&self, id: &InstanceId) -> Result<(), ClientError> {
        self.done(Call::new(Method::DELETE, format!("/v1/instances/{id}"))).await
    }

    /// Sets and removes environment variables in one step.
    pub async fn change_env(&self, app: &AppName, change: &EnvChange) -> Result<EnvList, ClientError> {
        self.json(Call::new(Method::PATCH, format!("/v1/apps/{app}/env")).json(change)).await
    }
}
