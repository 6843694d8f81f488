//! What outlives an app's instances: its volumes and databases.

use http::Method;
use skylift_model::wire::{CreateDatabase, CreateVolume, Database, DatabaseList, Volume, VolumeList};
use skylift_model::{AppName, VolumeName};

use crate::request::Call;
use crate::{Client, ClientError};

impl Client {
    /// Makes a database, and waits until the app's instances have it.
    pub async fn create_database(&self, app: &AppName, new: &CreateDatabase) -> Result<Database, ClientError> {
        self.json(Call::post(format!("/v1/apps/{app}/databases")).json(new)).await
    }

    /// The databases of an app.
    pub async fn databases(&self, app: &AppName) -> Result<DatabaseList, ClientError> {
        self.json(Call::get(format!("/v1/apps/{app}/databases"))).await
    }

    /// Removes a database with everything in it.
    pub async fn delete_database(&self, app: &AppName, name: &VolumeName) -> Result<(), ClientError> {
        self.done(Call::new(Method::DELETE, format!("/v1/apps/{app}/databases/{name}"))).await
    }

    /// Makes a volume, and waits until the app's instances have it.
    pub async fn create_volume(&self, app: &AppName, new: &CreateVolume) -> Result<Volume, ClientError> {
        self.json(Call::post(format!("/v1/apps/{app}/volumes")).json(new)).await
    }

    /// The volumes of an app.
    pub async fn volumes(&self, app: &AppName) -> Result<VolumeList, ClientError> {
        self.json(Call::get(format!("/v1/apps/{app}/volumes"))).await
    }

    /// Removes a volume with everything in it.
    pub async fn delete_volume(&self, app: &AppName, name: &VolumeName) -> Result<(), ClientError> {
        self.done(Call::new(Method::DELETE, format!("/v1/apps/{app}/volumes/{name}"))).await
    }

    /// Deletes an app with everything that belongs to it, its data included.
    pub async fn delete_app_with_data(&self, name: &AppName) -> Result<(), ClientError> {
        self.done(Call::new(Method::DELETE, format!("/v1/apps/{name}?data=remove"))).await
    }
}
