//! What control and store promise, in memory and as plainly as possible: the reference of the simulation.
//!
//! Times are milliseconds; apps, deployments and uploads are known by their place in a list. Nothing is ever taken
//! out of the lists: what is no more is marked so.

mod apps;
mod jobs;
mod keep;

use std::collections::{BTreeMap, BTreeSet};

use skylift_model::DeploymentState::{self, Failed, Live, Previous, Queued, Superseded};
use skylift_store::JobKind;

use jobs::Job;
pub(crate) use jobs::{Held, LEASE_MS, Subject};
pub(crate) use keep::{KEPT, Seen};

#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    pub(crate) generation: u64,
    pub(crate) env_version: u64,
    /// The environments that are kept, by version.
    pub(crate) envs: BTreeMap<u64, u8>,
    activation: Option<usize>,
    /// Pages that this app has sent.
    pub(crate) sent: BTreeSet<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) app: usize,
    pub(crate) state: DeploymentState,
    pub(crate) page: u8,
    pub(crate) env_version: u64,
    pub(crate) has_artifact: bool,
    pub(crate) is_gone: bool,
    pub(crate) upload: usize,
    created: i64,
    /// The owner asked for a job of it to be tried again: it may go live after newer ones.
    pub(crate) was_replayed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) app: usize,
    pub(crate) page: u8,
    created: i64,
    pub(crate) is_complete: bool,
    pub(crate) is_committed: bool,
    pub(crate) is_gone: bool,
}

#[derive(Clone, Debug)]
struct Activation {
    deployment: usize,
    below: Option<usize>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// By name; `None` where there is no app of that name.
    pub(crate) apps: [Option<App>; 3],
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) uploads: Vec<Upload>,
    /// Deploys that were asked for with a key: when, and what was made.
    pub(crate) keys: Vec<Key>,
    activations: Vec<Activation>,
    jobs: Vec<Job>,
    next_job: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) app: u8,
    pub(crate) page: u8,
    pub(crate) made: usize,
    pub(crate) at: i64,
    pub(crate) is_forgotten: bool,
}

impl Model {
    pub(crate) fn live(&self, app: usize) -> Option<usize> {
        let activation = self.apps[app].as_ref()?.activation?;
        Some(self.activations[activation].deployment)
    }

    /// Deployments that there are.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (usize, &Deployment)> {
        self.deployments.iter().enumerate().filter(|(_, deployment)| !deployment.is_gone)
    }

    /// Deploys an upload; `None` where there is no such app any more, or something of the upload is missing.
    pub(crate) fn deploy(&mut self, upload: usize, now: i64) -> Option<usize> {
        let Upload { app, page, is_complete, is_gone, .. } = self.uploads[upload];
        let env_version = self.apps[app].as_ref()?.env_version;
        if !is_complete || is_gone {
            return None;
        }
        let id = self.deployments.len();
        for other in 0..id {
            let older = &mut self.deployments[other];
            if !older.is_gone && older.app == app && older.state == Queued {
                older.state = Superseded;
                self.withdraw(other);
            }
        }
        self.deployments.push(Deployment {
            app,
            state: Queued,
            page,
            env_version,
            has_artifact: false,
            is_gone: false,
            upload,
            created: now,
            was_replayed: false,
        });
        self.queue_commit(app, now);
        self.queue(JobKind::Build, Subject::Deployment(id), app, now);
        Some(id)
    }

    fn activate(&mut self, deployment: usize, below: Option<usize>) {
        let place = self.deployments[deployment].app;
        if let Some(replaced) = self.live(place).filter(|live| *live != deployment) {
            self.deployments[replaced].state = Previous;
        }
        self.deployments[deployment].state = Live;
        self.activations.push(Activation { deployment, below });
        let activation = self.activations.len() - 1;
        if let Some(app) = &mut self.apps[place] {
            app.activation = Some(activation);
            app.generation += 1;
        }
    }

    pub(crate) fn go_live(&mut self, held: Held) -> bool {
        let Some(deployment) = self.end(held) else { return false };
        let below = self.top(self.deployments[deployment].app);
        self.activate(deployment, below);
        true
    }

    fn top(&self, app: usize) -> Option<usize> {
        self.apps[app].as_ref().and_then(|app| app.activation)
    }

    /// Goes back to what was live before; `None` where there is nothing.
    pub(crate) fn roll_back(&mut self, app: usize) -> Option<usize> {
        let mut below = self.activations[self.top(app)?].below;
        while let Some(place) = below {
            let Activation { deployment, below: further } = self.activations[place];
            let kept = &self.deployments[deployment];
            if kept.state == Previous && !kept.is_gone {
                self.goes_back_to(deployment, further);
                return Some(deployment);
            }
            below = further;
        }
        None
    }

    /// Goes back to a deployment; `false` where it was never live, or is, or is gone.
    pub(crate) fn roll_back_to(&mut self, deployment: usize) -> bool {
        let to = &self.deployments[deployment];
        let may = to.state == Previous && !to.is_gone;
        if may {
            self.goes_back_to(deployment, self.top(to.app));
        }
        may
    }

    fn goes_back_to(&mut self, deployment: usize, below: Option<usize>) {
        self.activate(deployment, below);
        let Deployment { app, env_version, .. } = self.deployments[deployment];
        if let Some(app) = &mut self.apps[app] {
            app.env_version = env_version;
        }
    }

    /// `false` where it had ended before, or is gone.
    pub(crate) fn cancel(&mut self, deployment: usize) -> bool {
        let it = &mut self.deployments[deployment];
        let may = !it.is_gone && !it.state.is_settled();
        if may {
            it.state = DeploymentState::Cancelled;
            self.withdraw(deployment);
        }
        may
    }

    /// Ends what is in work while nobody works on it.
    pub(crate) fn bury(&mut self) {
        for id in 0..self.deployments.len() {
            if self.is_abandoned(id) {
                self.deployments[id].state = Failed;
            }
        }
    }

    /// In work, while no job is about it.
    pub(crate) fn is_abandoned(&self, id: usize) -> bool {
        let it = &self.deployments[id];
        !it.is_gone && !it.state.is_settled() && !self.is_worked_on(id)
    }
}
