//! What clean-up takes.

use std::collections::BTreeSet;

use skylift_model::DeploymentState::{Cancelled, Failed, Previous, Superseded};

use super::{Deployment, Model};

/// How many pages there are.
const PAGES: u8 = 6;
/// How many deployments that were live are kept for each app, besides the live one.
pub(crate) const KEPT: usize = 2;
const UNSERVED_KEPT: usize = 20;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What a look saw: pages by what names them.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    manifests: BTreeSet<u8>,
    artifacts: BTreeSet<u8>,
    unnamed: BTreeSet<u8>,
}

impl Model {
    fn manifests(&self) -> BTreeSet<u8> {
        self.uploads.iter().filter(|upload| !upload.is_gone).map(|upload| upload.page).collect()
    }

    fn artifacts(&self) -> BTreeSet<u8> {
        self.kept().filter(|(_, it)| it.has_artifact).map(|(_, it)| it.page).collect()
    }

    pub(crate) fn look(&self) -> Seen {
        let (manifests, artifacts) = (self.manifests(), self.artifacts());
        let is_named = |page: &u8| manifests.contains(page) || artifacts.contains(page);
        let unnamed = (0..PAGES).filter(|page| !is_named(page)).collect();
        Seen { manifests, artifacts, unnamed }
    }

    /// Lets go what was seen to be unnamed, unless anything else is named by now.
    pub(crate) fn release(&mut self, seen: &Seen) {
        if self.manifests().is_subset(&seen.manifests) && self.artifacts().is_subset(&seen.artifacts) {
            for app in self.apps.iter_mut().flatten() {
                app.sent.retain(|page| !seen.unnamed.contains(page));
            }
        }
    }

    /// Forgets old deployments, uploads that nobody uses, keys and environments that nobody asks for.
    pub(crate) fn clean_up(&mut self, now: i64) {
        for app in 0..self.apps.len() {
            self.forget_oldest(app, KEPT, |it| it.state == Previous);
            self.forget_oldest(app, UNSERVED_KEPT, |it| matches!(it.state, Failed | Cancelled | Superseded));
        }
        let used: Vec<usize> = self.kept().map(|(_, it)| it.upload).collect();
        for (id, upload) in self.uploads.iter_mut().enumerate() {
            upload.is_gone |= upload.created < now - DAY_MS && !used.contains(&id);
        }
        for key in &mut self.keys {
            key.is_forgotten |= key.at < now - 7 * DAY_MS;
        }
        let versions: Vec<(usize, u64)> = self.kept().map(|(_, it)| (it.app, it.env_version)).collect();
        for (place, app) in self.apps.iter_mut().enumerate() {
            let Some(app) = app else { continue };
            let current = app.env_version;
            app.envs.retain(|version, _| *version == current || versions.contains(&(place, *version)));
        }
    }

    /// Those that were live last stay longest; of those that never were, the newest.
    fn forget_oldest(&mut self, app: usize, kept: usize, of: fn(&Deployment) -> bool) {
        let last_live = |id: usize| self.activations.iter().rposition(|activation| activation.deployment == id);
        let may_go = |(_, it): &(usize, &Deployment)| it.app == app && of(it) && self.uploads[it.upload].is_committed;
        let mut ended: Vec<usize> = self.kept().filter(may_go).map(|(id, _)| id).collect();
        ended.sort_by_key(|id| std::cmp::Reverse((last_live(*id), self.deployments[*id].created)));
        for id in ended.into_iter().skip(kept) {
            self.deployments[id].is_gone = true;
            self.forget_dead(id);
        }
    }
}
