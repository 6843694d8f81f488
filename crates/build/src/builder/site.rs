//! The artifact of a site: its files with their variants, its rules, and what its owner should know of them.

use anyhow::Context;
use skylift_model::plan::{Plan, ProjectKind};
use skylift_model::site::Site;
use skylift_model::wire::Failure;
use skylift_model::{Digest, Manifest};

use super::outcome::failure;
use super::{Build, Stop, joined, outcome};
use crate::hashed::HashedNames;
use crate::withheld::{Origin, Withheld};
use crate::{site, site_rules, site_warnings, withheld};

impl Build<'_> {
    pub(super) async fn site(&self, manifest: &Manifest, plan: &Plan) -> Result<Digest, Stop> {
        let site = if plan.build.is_none() && plan.kind == ProjectKind::Static {
            let folder = joined(&plan.root, &plan.output);
            self.make_site(manifest, &folder, plan, manifest).await?
        } else {
            let output = self.build_site(manifest, plan).await?;
            self.make_site(&output, "", plan, manifest).await?
        };
        let artifact = site::store(&self.builder.blobs, &site).await.map_err(outcome::site_stop)?;
        let bytes: u64 = site.files.values().map(|asset| asset.size).sum();
        let files = if site.files.len() == 1 { "file" } else { "files" };
        self.log.say("output", format!("{} {files}, {}", site.files.len(), crate::cell::shown_bytes(bytes))).await;
        self.name_list("build", &artifact).await?;
        Ok(artifact)
    }

    /// The site of some files that were made of a source, with the variants that the live one has already.
    async fn make_site(&self, manifest: &Manifest, folder: &str, plan: &Plan, source: &Manifest) -> Result<Site, Stop> {
        let earlier = self.live_site().await;
        let made = site::make(&self.builder.blobs, manifest, folder, plan.site, earlier.as_ref()).await;
        let mut site = made.map_err(outcome::site_stop)?;
        let withheld = self.withhold(&mut site, source, plan).await?;
        let hashed = HashedNames::of(plan, source);
        for (path, asset) in &mut site.files {
            asset.immutable = hashed.tell(path);
        }
        let reading = site_rules::read(&self.builder.blobs, &site, source, &plan.root).await;
        let reading = reading.context("read redirects and headers")?;
        for reject in &reading.rejects {
            self.log.say("rules", format!("ignored: {reject}")).await;
        }
        site.rules = reading.rules;
        self.warn_of(&site, &withheld, source, &plan.root).await?;
        Ok(site)
    }

    /// Leaves out what is not for visitors. Refused where nothing is left.
    async fn withhold(&self, site: &mut Site, source: &Manifest, plan: &Plan) -> Result<Withheld, Stop> {
        let netlify_toml = site_rules::netlify_toml(&self.builder.blobs, site, source, &plan.root).await;
        let netlify_toml = netlify_toml.context("read netlify.toml")?.unwrap_or_default();
        let (root, output) = (plan.root.as_str(), plan.output.as_str());
        let withheld =
            withheld::take(site, &Origin { source, root, output, functions: withheld::functions_of(&netlify_toml) });
        if site.files.is_empty() {
            let hint = "name the folder with the pages in skylift.toml: [build] output = \"…\"";
            let message =
                "nothing is left to serve: all files of the output are functions, which are not run, or source maps";
            return Err(Stop::Failed(Failure { hint: Some(hint.to_owned()), ..failure("output", message) }));
        }
        Ok(withheld)
    }

    /// Tells what the owner should know of the site's files.
    async fn warn_of(&self, site: &Site, withheld: &Withheld, source: &Manifest, root: &str) -> Result<(), Stop> {
        let mut has_start = site_warnings::has_start_page(site);
        if !has_start && !site.rules.is_empty() {
            let rules = site.rules.clone();
            // On a thread of its own: many rules take a while.
            let asked = tokio::task::spawn_blocking(move || site_warnings::has_start_rule(rules));
            has_start = asked.await.context("ask the site's rules")?;
        }
        for warning in site_warnings::warnings(site, withheld, source, root, has_start) {
            self.log.say("output", warning).await;
        }
        Ok(())
    }

    async fn live_site(&self) -> Option<Site> {
        let store = &self.builder.store;
        let live = store.app(self.input.deployment.app.clone()).await.ok()?.live?;
        let artifact = store.deployment(live).await.ok()?.artifact?;
        site::load(&self.builder.blobs, &artifact).await
    }
}
