//! What must be true after each step: what the model says, and what holds whatever it says.

use std::collections::BTreeMap;

use skylift_model::DeploymentState::{Cancelled, Live, Superseded};
use skylift_model::site::Site;
use skylift_model::{Digest, Manifest};
use skylift_store::DeploymentRow;

use super::acts::{manifest_of, page_text};
use super::{Verdict, World, ensure, failed, name};
use crate::model::Subject;

const DOCUMENT_MAX: u64 = 1 << 20;

impl World {
    pub(super) async fn compare(&mut self) -> Verdict {
        let rows = self.store().deployments(None, 1000).await.map_err(failed)?;
        let place: BTreeMap<&str, usize> =
            self.ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        let mut by_place = BTreeMap::new();
        for row in rows {
            let place = place.get(row.id.as_str()).ok_or_else(|| format!("{} was never acknowledged", row.id))?;
            by_place.insert(*place, row);
        }
        self.compare_deployments(&by_place)?;
        let before = self.generations;
        self.compare_apps(&by_place).await?;
        self.compare_jobs().await?;
        if self.generations != before {
            self.check_routes(&by_place).await?;
        }
        self.check_ends(&by_place)
    }

    fn compare_deployments(&self, rows: &BTreeMap<usize, DeploymentRow>) -> Verdict {
        for (place, it) in self.model.kept() {
            let row =
                rows.get(&place).ok_or_else(|| format!("{} was acknowledged and is not found", self.ids[place]))?;
            let is = (row.state, row.artifact.is_some(), row.env_version);
            ensure!(is == (it.state, it.has_artifact, it.env_version), "deployment {place} is {is:?}, not {it:?}");
        }
        let more: Vec<_> = rows.keys().filter(|place| self.model.deployments[**place].is_gone).collect();
        ensure!(more.is_empty(), "{more:?} are to be gone");
        Ok(())
    }

    async fn compare_apps(&mut self, rows: &BTreeMap<usize, DeploymentRow>) -> Verdict {
        let apps = self.store().apps().await.map_err(failed)?;
        ensure!(apps.len() == self.model.apps.iter().flatten().count(), "apps: {apps:?}");
        for (place, expected) in self.model.apps.iter().enumerate() {
            let Some(expected) = expected else {
                self.generations[place] = 0;
                continue;
            };
            let app = apps.iter().find(|app| app.name == name(place)).ok_or_else(|| format!("app {place} is gone"))?;
            let live = self.model.live(place).map(|live| self.ids[live].clone());
            ensure!(app.live == live, "live of app {place} is {:?}, not {live:?}", app.live);
            ensure!(app.env_version == expected.env_version, "environment {}, not {expected:?}", app.env_version);
            // What holds whatever the model says.
            let moved = app.generation.cmp(&self.generations[place]);
            ensure!(moved.is_ge(), "generation of app {place} went back to {}", app.generation);
            ensure!(
                app.generation == expected.generation,
                "generation {}, not {}",
                app.generation,
                expected.generation
            );
            self.generations[place] = app.generation;
            let live: Vec<_> = rows
                .iter()
                .filter(|(id, row)| self.model.deployments[**id].app == place && row.state == Live)
                .collect();
            ensure!(live.len() == usize::from(app.live.is_some()), "live at once: {live:?}");
        }
        Ok(())
    }

    async fn compare_jobs(&self) -> Verdict {
        let jobs = self.store().jobs(None).await.map_err(failed)?;
        let mut shown = Vec::new();
        for job in &jobs {
            let deployment = self.ids.iter().position(|id| id.as_str() == job.subject).map(Subject::Deployment);
            let app = (0..3).find(|app| name(*app).as_str() == job.subject).map(Subject::App);
            let subject = deployment.or(app).ok_or_else(|| format!("a job about nothing: {job:?}"))?;
            shown.push((job.kind_name.as_str(), subject, job.state.as_str(), job.attempts));
        }
        shown.sort_unstable();
        let expected = self.model.shown_jobs();
        ensure!(shown == expected, "the jobs are {shown:?}, not {expected:?}");
        Ok(())
    }

    /// What an edge would load.
    async fn check_routes(&self, rows: &BTreeMap<usize, DeploymentRow>) -> Verdict {
        for routes in self.store().all_routes().await.map_err(failed)? {
            let Some(live) = &routes.live else { continue };
            let place = self.ids.iter().position(|id| id == live).ok_or("what is live was never acknowledged")?;
            ensure!(rows[&place].state == Live, "{live} is routed and {}", rows[&place].state);
            let leads_to = routes.deployments.iter().find(|routed| routed.id == *live);
            let leads_to = leads_to.ok_or_else(|| format!("{live} is live without an artifact"))?;
            let page = self.model.deployments[place].page;
            ensure!(leads_to.artifact == super::acts::artifact_of(page), "{live} leads to another artifact");
        }
        Ok(())
    }

    /// Nothing is in work that nobody works on; what is over is never live.
    fn check_ends(&mut self, rows: &BTreeMap<usize, DeploymentRow>) -> Verdict {
        for (place, row) in rows {
            let is_stuck = self.model.is_abandoned(*place);
            ensure!(self.is_reaped_half || !is_stuck, "{} is {} and nobody works on it", row.id, row.state);
            ensure!(row.state != Live || !self.over.contains(place), "{} was over, and is live", row.id);
            if matches!(row.state, Cancelled | Superseded) {
                self.over.insert(*place);
            }
        }
        Ok(())
    }

    /// Everything that a deployment or an upload names is there, and is what it was.
    pub(super) async fn check_blobs(&self) -> Verdict {
        for (_, it) in self.model.kept() {
            let upload = &self.model.uploads[it.upload];
            ensure!(!upload.is_gone, "the upload of a deployment is gone");
            if it.has_artifact {
                let document = self.document(&super::acts::artifact_of(it.page)).await?;
                let site: Site = serde_json::from_slice(&document).map_err(failed)?;
                ensure!(!site.files.is_empty(), "an empty site");
            }
        }
        for upload in self.model.uploads.iter().filter(|upload| !upload.is_gone) {
            let document = self.document(&manifest_of(upload.page).0).await?;
            let manifest: Manifest = serde_json::from_slice(&document).map_err(failed)?;
            if upload.is_complete {
                let bytes = self.blobs.get(&manifest.files()[0].sha256, DOCUMENT_MAX).await.map_err(failed)?;
                ensure!(bytes == Some(page_text(upload.page)), "page {} of an upload is gone", upload.page);
            }
        }
        Ok(())
    }

    async fn document(&self, digest: &Digest) -> Result<Vec<u8>, String> {
        let bytes = self.blobs.get(digest, DOCUMENT_MAX).await.map_err(failed)?;
        bytes.ok_or_else(|| format!("blob {digest} is named and gone"))
    }
}
