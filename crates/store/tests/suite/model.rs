//! What the store promises about apps, deployments, jobs and what is live, in memory and as plainly as possible.
//! Times are milliseconds; things are known by their place in a list.

use skylift_model::DeploymentState::{
    self, Building, Cancelled, Deploying, Failed, Live, Previous, Queued, Superseded,
};
use skylift_store::JobKind;

pub(crate) const LEASE_MS: i64 = 30_000;
const ATTEMPTS_MAX: u64 = 3;

#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    pub(crate) generation: u64,
    /// The place of the activation that is live.
    activation: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) app: usize,
    pub(crate) state: DeploymentState,
}

#[derive(Clone, Debug)]
struct Activation {
    deployment: usize,
    below: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JobState {
    Ready,
    Leased { until: i64 },
    Dead,
}

#[derive(Clone, Debug)]
struct Job {
    kind: JobKind,
    deployment: usize,
    created: i64,
    visible: i64,
    state: JobState,
    fence: u64,
    attempts: u64,
}

/// A lease: the job is known by its deployment and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) kind: JobKind,
    pub(crate) deployment: usize,
    pub(crate) fence: u64,
    pub(crate) attempt: u64,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) apps: Vec<App>,
    pub(crate) deployments: Vec<Deployment>,
    activations: Vec<Activation>,
    jobs: Vec<Job>,
}

impl Model {
    pub(crate) fn new(apps: usize) -> Self {
        Self { apps: vec![App::default(); apps], ..Self::default() }
    }

    pub(crate) fn live(&self, app: usize) -> Option<usize> {
        self.apps[app].activation.map(|activation| self.activations[activation].deployment)
    }

    /// How many jobs of a kind are ready, leased, dead.
    pub(crate) fn counts(&self, kind: JobKind) -> [u64; 3] {
        let count = |is: fn(&JobState) -> bool| {
            self.jobs.iter().filter(|job| job.kind == kind && is(&job.state)).count() as u64
        };
        [
            count(|state| *state == JobState::Ready),
            count(|state| matches!(state, JobState::Leased { .. })),
            count(|state| *state == JobState::Dead),
        ]
    }

    pub(crate) fn deploy(&mut self, app: usize, now: i64) -> usize {
        let id = self.deployments.len();
        for (other, deployment) in self.deployments.iter_mut().enumerate() {
            if deployment.app == app && deployment.state == Queued {
                deployment.state = Superseded;
                self.jobs.retain(|job| job.deployment != other);
            }
        }
        self.deployments.push(Deployment { app, state: Queued });
        self.queue(JobKind::Build, id, now);
        id
    }

    fn queue(&mut self, kind: JobKind, deployment: usize, now: i64) {
        let state = JobState::Ready;
        self.jobs.push(Job { kind, deployment, created: now, visible: now, state, fence: 0, attempts: 0 });
    }

    pub(crate) fn lease(&mut self, kind: JobKind, now: i64) -> Option<Held> {
        let app_of = |job: &Job| self.deployments[job.deployment].app;
        let may_go = |job: &Job| {
            job.kind == kind
                && job.state == JobState::Ready
                && job.visible <= now
                && !self.jobs.iter().any(|other| {
                    app_of(other) == app_of(job)
                        && (matches!(other.state, JobState::Leased { .. })
                            || (other.state == JobState::Ready
                                && other.kind == JobKind::Deploy
                                && kind != JobKind::Deploy)
                            || (other.state == JobState::Ready && other.kind == kind && other.created < job.created))
                })
        };
        let ready = self.jobs.iter().enumerate().filter(|(_, job)| may_go(job));
        let (place, _) = ready.min_by_key(|(_, job)| job.created)?;
        let job = &mut self.jobs[place];
        job.state = JobState::Leased { until: now + LEASE_MS };
        job.fence += 1;
        job.attempts += 1;
        Some(Held { kind, deployment: job.deployment, fence: job.fence, attempt: job.attempts })
    }

    /// Ends the job of a lease; `false` where the lease was lost.
    fn end(&mut self, held: Held) -> bool {
        let found = self.jobs.iter().position(|job| {
            job.kind == held.kind
                && job.deployment == held.deployment
                && job.fence == held.fence
                && matches!(job.state, JobState::Leased { .. })
        });
        found.map(|place| self.jobs.remove(place)).is_some()
    }

    pub(crate) fn begin(&mut self, held: Held) {
        let state = &mut self.deployments[held.deployment].state;
        if *state == Queued {
            *state = Building;
        }
    }

    pub(crate) fn finish(&mut self, held: Held, now: i64) -> bool {
        let held_on = self.end(held);
        if held_on {
            self.deployments[held.deployment].state = Deploying;
            self.queue(JobKind::Deploy, held.deployment, now);
        }
        held_on
    }

    pub(crate) fn fail(&mut self, held: Held) -> bool {
        let held_on = self.end(held);
        if held_on {
            self.deployments[held.deployment].state = Failed;
        }
        held_on
    }

    pub(crate) fn go_live(&mut self, held: Held) -> bool {
        let held_on = self.end(held);
        if held_on {
            let below = self.apps[self.deployments[held.deployment].app].activation;
            self.activate(held.deployment, below);
        }
        held_on
    }

    fn activate(&mut self, deployment: usize, below: Option<usize>) {
        let app = self.deployments[deployment].app;
        if let Some(replaced) = self.live(app).filter(|live| *live != deployment) {
            self.deployments[replaced].state = Previous;
        }
        self.deployments[deployment].state = Live;
        self.activations.push(Activation { deployment, below });
        self.apps[app].activation = Some(self.activations.len() - 1);
        self.apps[app].generation += 1;
    }

    /// Goes back to what was live before; `None` where there is nothing.
    pub(crate) fn roll_back(&mut self, app: usize) -> Option<usize> {
        let mut below = self.activations[self.apps[app].activation?].below;
        while let Some(place) = below {
            let Activation { deployment, below: further } = self.activations[place];
            if self.deployments[deployment].state == Previous {
                self.activate(deployment, further);
                return Some(deployment);
            }
            below = further;
        }
        None
    }

    /// Goes back to a deployment; `false` where it was never live, or is.
    pub(crate) fn roll_back_to(&mut self, deployment: usize) -> bool {
        let may = self.deployments[deployment].state == Previous;
        if may {
            let below = self.apps[self.deployments[deployment].app].activation;
            self.activate(deployment, below);
        }
        may
    }

    /// `false` where it had ended before.
    pub(crate) fn cancel(&mut self, deployment: usize) -> bool {
        let may = !self.deployments[deployment].state.is_settled();
        if may {
            self.deployments[deployment].state = Cancelled;
            self.jobs.retain(|job| job.deployment != deployment);
        }
        may
    }

    /// Takes back what expired; the deployments whose jobs were given up, which fail.
    pub(crate) fn reap(&mut self, now: i64) -> Vec<usize> {
        let mut given_up = Vec::new();
        for job in &mut self.jobs {
            let JobState::Leased { until } = job.state else { continue };
            if until >= now {
                continue;
            }
            job.visible = now + (1000 << (job.attempts - 1));
            job.state = JobState::Ready;
            if job.attempts >= ATTEMPTS_MAX {
                job.state = JobState::Dead;
                given_up.push(job.deployment);
                self.deployments[job.deployment].state = Failed;
            }
        }
        given_up
    }
}
