//! The platform itself: how it is, its clean-up, its jobs.

use http::Method;
use skylift_model::wire::{ChangeKey, CleanedUp, CreateKey, Job, JobList, Key, KeyList, Status, TunerList, WorkerList};
use skylift_model::{JobId, TokenId};

use crate::request::Call;
use crate::{Client, ClientError};

impl Client {
    /// Makes a key; the answer tells it, this once.
    pub async fn create_key(&self, new: &CreateKey) -> Result<Key, ClientError> {
        self.json(Call::post("/v1/keys").json(new)).await
    }

    /// The keys that work.
    pub async fn keys(&self) -> Result<KeyList, ClientError> {
        self.json(Call::get("/v1/keys")).await
    }

    /// Changes what a key may have.
    pub async fn change_key(&self, id: &TokenId, change: &ChangeKey) -> Result<Key, ClientError> {
        self.json(Call::new(Method::PATCH, format!("/v1/keys/{id}")).json(change)).await
    }

    /// A key stops working at once.
    pub async fn revoke_key(&self, id: &TokenId) -> Result<(), ClientError> {
        self.done(Call::new(Method::DELETE, format!("/v1/keys/{id}"))).await
    }

    /// How the platform is.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.json(Call::get("/v1/status")).await
    }

    /// Removes what nothing needs.
    pub async fn collect_garbage(&self) -> Result<CleanedUp, ClientError> {
        self.json(Call::post("/v1/gc")).await
    }

    /// Who runs code, what waits for them, and how many there are to be.
    pub async fn workers(&self) -> Result<WorkerList, ClientError> {
        self.json(Call::get("/v1/workers")).await
    }

    /// How warm each worker keeps languages, and why.
    pub async fn tuner(&self) -> Result<TunerList, ClientError> {
        self.json(Call::get("/v1/tuner")).await
    }

    /// Jobs: all that are kept, or those in one state, such as `dead`.
    pub async fn jobs(&self, state: Option<&str>) -> Result<Vec<Job>, ClientError> {
        let path = match state {
            Some(state) => format!("/v1/jobs?state={}", super::files::encoded(state)),
            None => "/v1/jobs".to_owned(),
        };
        self.json::<JobList>(Call::get(path)).await.map(|list| list.jobs)
    }

    /// Queues a dead job again.
    pub async fn replay_job(&self, id: &JobId) -> Result<(), ClientError> {
        self.done(Call::post(format!("/v1/jobs/{id}/replay"))).await
    }
}
