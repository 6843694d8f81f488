//! What `app.json` asks of an app's variables: those that must be there, and secrets that are made where they are missing.

use std::collections::BTreeSet;

use anyhow::Context;
use skylift_model::environment::{Environment, Variable};
use skylift_model::plan::Plan;
use skylift_model::volume::{prefix, sqlite_environment, volume_environment};
use skylift_model::wire::Failure;
use skylift_model::{EnvName, Link};
use skylift_store::seal::new_secret;
use skylift_store::{Conflict, StoreError, VolumeKind};

use super::outcome::{Stop, failure};
use super::{Build, variables_of};

/// How often secrets are made again, where the app's variables were changed meanwhile.
const ATTEMPTS_MAX: u32 = 8;

impl Build<'_> {
    /// Refuses a deployment that lacks a variable, and makes the secrets that it asks for.
    pub(super) async fn complete_variables(&mut self, plan: &Plan) -> Result<(), Stop> {
        let wants = &plan.app_json;
        if wants.required.is_empty() && wants.secrets.is_empty() {
            return Ok(());
        }
        let given = self.given(plan).await?;
        let is_given = |name: &str| given.contains(name) || self.env.iter().any(|(own, _)| own == name);
        let missing: Vec<&str> = wants.missing(is_given).collect();
        if !missing.is_empty() {
            return Err(Stop::Failed(not_set(&missing, self.input.deployment.app.as_str())));
        }
        let names: Vec<EnvName> = wants.without_secret(is_given).filter_map(|name| name.parse().ok()).collect();
        if names.is_empty() { Ok(()) } else { self.make_secrets(&names).await }
    }

    /// The variables that the deployment has without anybody setting them: by `skylift.toml`, its links, and its app's own data.
    async fn given(&self, plan: &Plan) -> Result<BTreeSet<String>, Stop> {
        let app = &self.input.deployment.app;
        let mut given: BTreeSet<String> = plan.env.keys().cloned().collect();
        for link in &plan.links {
            match link {
                Link::Service(name) => {
                    let service = self.builder.services.granted(app, name).context("look at a link")?;
                    given.extend(service.environment(&link.variable_prefix(), 0).into_keys());
                }
                Link::App(_) => drop(given.insert(format!("{}_URL", link.variable_prefix()))),
            }
        }
        for volume in self.builder.store.volumes(app.clone()).await? {
            given.extend(match volume.kind {
                VolumeKind::Plain => volume_environment(&volume.name, &volume.path).into_keys(),
                VolumeKind::Sqlite => sqlite_environment(&volume.name, &volume.path).into_keys(),
            });
        }
        for database in self.builder.store.databases(app.clone()).await? {
            given.extend(["DATABASE_URL".to_owned(), format!("{}_URL", prefix(&database.name))]);
        }
        Ok(given)
    }

    /// Makes secrets and keeps them among the app's variables, with which the deployment goes on.
    async fn make_secrets(&mut self, names: &[EnvName]) -> Result<(), Stop> {
        for _ in 0..ATTEMPTS_MAX {
            match self.try_secrets(names).await {
                Err(Stop::Fault(error))
                    if matches!(error.downcast_ref(), Some(StoreError::Conflict(Conflict::EnvChanged(_)))) => {}
                ended => return ended,
            }
        }
        Err(Stop::Fault(anyhow::anyhow!("the app's variables are changed again and again")))
    }

    async fn try_secrets(&mut self, names: &[EnvName]) -> Result<(), Stop> {
        let (store, clock) = (&self.builder.store, &self.builder.clock);
        let app = self.input.deployment.app.clone();
        let current = store.env(app.clone()).await?;
        let mut environment = self.builder.open(&app, current.sealed.as_deref())?;
        let earlier = self.went_back_behind(current.version).await?;
        let mut made = Vec::new();
        for name in names {
            if environment.0.contains_key(name) {
                continue;
            }
            // A rollback may have taken the app's variables back to before it had the secret, which is to stay what it was.
            let kept = earlier.iter().find_map(|environment| environment.0.get(name)).map(|kept| kept.value.clone());
            let value = kept.map_or_else(new_secret, Ok).map_err(|_| anyhow::anyhow!("no randomness"))?;
            environment.0.insert(name.clone(), Variable { value, updated_at: clock.now() });
            made.push(name.as_str());
        }
        let sealed = match made.is_empty() {
            true => None,
            false => {
                let bytes = serde_json::to_vec(&environment).context("write the environment")?;
                Some(self.builder.key.seal(&format!("env/{app}"), &bytes).context("seal the environment")?)
            }
        };
        store.give_env(self.lease.clone(), current.version, sealed, clock.now()).await?;
        let made = made.join(", ");
        self.env = variables_of(environment);
        self.log.mask_also(self.env.iter().map(|(_, value)| value.clone()));
        if !made.is_empty() {
            self.log.say("detect", format!("made a secret for {made}: kept as a variable of the app")).await;
        }
        Ok(())
    }

    async fn went_back_behind(&self, version: u64) -> Result<Vec<Environment>, Stop> {
        let app = &self.input.deployment.app;
        let newer = self.builder.store.newer_envs(app.clone(), version).await?;
        newer.iter().map(|sealed| self.builder.open(app, Some(sealed))).collect()
    }
}

fn not_set(missing: &[&str], app: &str) -> Failure {
    let message = match missing {
        [only] => format!("the variable `{only}`, which app.json requires, is not set"),
        several => format!("the variables `{}`, which app.json requires, are not set", several.join("`, `")),
    };
    let values: Vec<String> = missing.iter().map(|name| format!("{name}=…")).collect();
    let hint = format!("set it with `skylift env set {app} {}`, then deploy again", values.join(" "));
    Failure { hint: Some(hint), ..failure("detect", &message) }
}
