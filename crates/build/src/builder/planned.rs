//! The plan of a build, and what of it is refused before anything is built.

use anyhow::Context;
use skylift_egress::never;
use skylift_model::plan::Plan;
use skylift_model::wire::Failure;
use skylift_model::{Link, Manifest};
use skylift_store::StoreError;

use super::Build;
use super::listing::BlobListing;
use super::outcome::{self, Stop, failure};
use crate::detect;

impl Build<'_> {
    pub(super) async fn plan(&self, manifest: &Manifest) -> Result<Plan, Stop> {
        let listing = BlobListing::new(self.builder.blobs.clone(), manifest.clone());
        let dir = self.input.deployment.dir.clone();
        let planned = tokio::task::spawn_blocking(move || (detect::plan(&listing, dir.as_deref()), listing.failure()));
        let (plan, failure) = planned.await.context("plan")?;
        if let Some(failure) = failure {
            return Err(Stop::Fault(failure));
        }
        let plan = plan.map_err(|error| outcome::not_planned(&error))?;
        for line in detect::render(&plan).lines() {
            self.log.say("detect", line).await;
        }
        self.builder.store.set_plan(self.lease.clone(), plan.clone()).await?;
        self.choose_type(&plan).await?;
        self.grant(&plan).await?;
        Ok(plan)
    }

    /// Refuses an instance type that there is not, before anything is built. What the owner chose by command counts before the plan's.
    async fn choose_type(&self, plan: &Plan) -> Result<(), Stop> {
        let Some(said) = plan.instance_type.as_deref().filter(|_| !plan.kind.is_static()) else { return Ok(()) };
        if self.builder.store.app(self.input.deployment.app.clone()).await?.instance_type.is_some() {
            return Ok(());
        }
        let unknown = self.builder.store.instance_types().get(Some(said)).err();
        unknown.map_or(Ok(()), |unknown| Err(Stop::Failed(outcome::unknown_type(&unknown))))
    }

    /// Refuses links that the platform's owner has not granted to the app, and to apps that are not there; and rules for what is the
    /// platform's own.
    async fn grant(&self, plan: &Plan) -> Result<(), Stop> {
        let app = &self.input.deployment.app;
        if let Some(never) = plan.net.out.iter().find_map(|rule| never(rule, Some(&self.builder.domain))) {
            let hint = Some(never.hint().to_owned());
            return Err(Stop::Failed(Failure { hint, ..failure("detect", &never.to_string()) }));
        }
        for link in &plan.links {
            let refused = match link {
                Link::Service(service) => self
                    .builder
                    .services
                    .granted(app, service)
                    .err()
                    .map(|refused| (refused.to_string(), refused.hint())),
                Link::App(other) if other == app => Some(outcome::linked_to_itself(app)),
                Link::App(other) => match self.builder.store.app(other.clone()).await {
                    Ok(_) => None,
                    Err(StoreError::NotFound(_)) => Some(outcome::linked_to_nobody(other)),
                    Err(error) => return Err(error.into()),
                },
            };
            if let Some((message, hint)) = refused {
                return Err(Stop::Failed(Failure { hint: Some(hint), ..failure("link", &message) }));
            }
        }
        Ok(())
    }
}
