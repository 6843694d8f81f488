//! Apps and their environments.

use http::Method;
use skylift_model::AppName;
use skylift_model::wire::{App, AppList, CreateApp, EnvChange, EnvList, InstanceList, Purge, Purged, SetInstances};

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

    /// Sets how many instances an app should have.
    pub async fn set_instances(&self, app: &AppName, wanted: u32) -> Result<SetInstances, ClientError> {
        self.json(Call::new(Method::PUT, format!("/v1/apps/{app}/instances")).json(&SetInstances { wanted })).await
    }

    /// Sets and removes environment variables in one step.
    pub async fn change_env(&self, app: &AppName, change: &EnvChange) -> Result<EnvList, ClientError> {
        self.json(Call::new(Method::PATCH, format!("/v1/apps/{app}/env")).json(change)).await
    }
}
