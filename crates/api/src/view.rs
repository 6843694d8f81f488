//! Rows as the API shows them.

use skylift_model::DeploymentState;
use skylift_model::wire::{App, Deployment};
use skylift_store::{AppRow, DeploymentRow};

use crate::services::Urls;

pub(crate) fn app(urls: &Urls, row: AppRow) -> App {
    App {
        url: urls.app(&row.name),
        name: row.name,
        live: row.live,
        generation: row.generation,
        created_at: row.created_at,
    }
}

pub(crate) fn deployment(urls: &Urls, row: DeploymentRow) -> Deployment {
    Deployment {
        url: urls.deployment(&row.id),
        app_url: urls.app(&row.app),
        id: row.id,
        app: row.app,
        state: row.state,
        source: row.source,
        dir: row.dir,
        plan: row.plan,
        artifact: row.artifact,
        queue_position: row.queue_position,
        // What was taken back once and is live again by its owner's word has not failed.
        failure: row.failure.filter(|_| row.state != DeploymentState::Live),
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
    }
}
