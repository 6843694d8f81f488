//! Apps, their environments, and what was sent of them.

use super::{App, Deployment, Model, Subject, Upload};

impl Model {
    /// `false` where there is one of that name.
    pub(crate) fn create_app(&mut self, app: usize) -> bool {
        let is_new = self.apps[app].is_none();
        if is_new {
            self.apps[app] = Some(App::default());
        }
        is_new
    }

    /// `false` where there is none.
    pub(crate) fn delete_app(&mut self, app: usize) -> bool {
        if self.apps[app].take().is_none() {
            return false;
        }
        for (id, it) in self.deployments.iter_mut().enumerate().filter(|(_, it)| it.app == app) {
            it.is_gone = true;
            self.jobs.retain(|job| job.subject != Subject::Deployment(id));
        }
        for upload in self.uploads.iter_mut().filter(|upload| upload.app == app) {
            upload.is_gone = true;
        }
        true
    }

    /// The version of the changed environment; `None` where there is no such app.
    pub(crate) fn set_env(&mut self, app: usize, value: u8) -> Option<u64> {
        let app = self.apps[app].as_mut()?;
        let version = app.envs.keys().max().map_or(1, |newest| newest + 1);
        app.envs.insert(version, value);
        app.env_version = version;
        Some(version)
    }

    /// What a build of it is to see.
    pub(crate) fn env_of(&self, deployment: usize) -> Option<u8> {
        let Deployment { app, env_version, .. } = self.deployments[deployment];
        self.apps[app].as_ref()?.envs.get(&env_version).copied()
    }

    /// Notes an upload of one page; `None` where there is no such app. It is complete where the page was sent before.
    pub(crate) fn open_upload(&mut self, app: usize, page: u8, now: i64) -> Option<usize> {
        let is_complete = self.apps[app].as_ref()?.sent.contains(&page);
        let upload = Upload { app, page, created: now, is_complete, is_committed: false, is_gone: false };
        self.uploads.push(upload);
        Some(self.uploads.len() - 1)
    }

    /// Notes that the page of an upload was sent; `false` where the upload is gone.
    pub(crate) fn sent(&mut self, upload: usize) -> bool {
        let it = &mut self.uploads[upload];
        if it.is_gone {
            return false;
        }
        it.is_complete = true;
        if let Some(app) = &mut self.apps[it.app] {
            app.sent.insert(it.page);
        }
        true
    }

    /// Uploads of an app that are to be committed to Git.
    pub(crate) fn uncommitted(&self, app: usize) -> Vec<usize> {
        let is_used = |upload: usize| self.kept().any(|(_, it)| it.upload == upload);
        let of_app = |(id, it): &(usize, &Upload)| it.app == app && !it.is_gone && !it.is_committed && is_used(*id);
        self.uploads.iter().enumerate().filter(of_app).map(|(id, _)| id).collect()
    }
}
