//! Leased work.

use skylift_model::DeploymentState::{self, Building, Deploying, Failed, Queued};
use skylift_store::JobKind;

use super::Model;

pub(crate) const LEASE_MS: i64 = 30_000;
const ATTEMPTS_MAX: u64 = 3;
/// A time further away than this was given by a clock that was set back.
const ABSURD_MS: i64 = 120_000;

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Deployment(usize),
    /// The commits of an app, by its name.
    App(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JobState {
    Ready,
    Leased { until: i64 },
    Dead,
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    id: usize,
    kind: JobKind,
    pub(super) subject: Subject,
    /// The app by whose name its lane is called.
    app: usize,
    created: i64,
    /// When it was queued, whatever the clock had said before.
    queued: i64,
    visible: i64,
    state: JobState,
    fence: u64,
    attempts: u64,
}

/// A lease that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    job: usize,
    pub(crate) subject: Subject,
    pub(crate) fence: u64,
    pub(crate) attempt: u64,
}

impl Model {
    /// What can be seen of the jobs, in order: kind, subject, state, attempts.
    pub(crate) fn shown_jobs(&self) -> Vec<(&'static str, Subject, &'static str, u64)> {
        let name = |state| match state {
            JobState::Ready => "ready",
            JobState::Leased { .. } => "leased",
            JobState::Dead => "dead",
        };
        let shown = self.jobs.iter().map(|job| (job.kind.as_str(), job.subject, name(job.state), job.attempts));
        let mut shown: Vec<_> = shown.collect();
        shown.sort_unstable();
        shown
    }

    pub(super) fn queue(&mut self, kind: JobKind, subject: Subject, app: usize, now: i64) {
        let is_commit = kind == JobKind::Commit;
        let lane = self.jobs.iter().filter(|job| job.app == app && (job.kind == JobKind::Commit) == is_commit);
        let created = lane.map(|job| job.created + 1).max().map_or(now, |after| after.max(now));
        let id = self.next_job;
        self.next_job += 1;
        let state = JobState::Ready;
        self.jobs.push(Job {
            id,
            kind,
            subject,
            app,
            created,
            queued: now,
            visible: now,
            state,
            fence: 0,
            attempts: 0,
        });
    }

    pub(super) fn queue_commit(&mut self, app: usize, now: i64) {
        let waits = |job: &Job| job.subject == Subject::App(app) && job.state == JobState::Ready;
        if !self.jobs.iter().any(waits) {
            self.queue(JobKind::Commit, Subject::App(app), app, now);
        }
    }

    pub(super) fn withdraw(&mut self, deployment: usize) {
        self.jobs.retain(|job| job.subject != Subject::Deployment(deployment));
    }

    pub(super) fn forget_dead(&mut self, deployment: usize) {
        self.jobs.retain(|job| job.subject != Subject::Deployment(deployment) || job.state != JobState::Dead);
    }

    pub(super) fn is_worked_on(&self, deployment: usize) -> bool {
        self.jobs.iter().any(|job| job.subject == Subject::Deployment(deployment) && job.state != JobState::Dead)
    }

    /// Whether nobody can do anything but wait for time to pass, or for an owner.
    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.iter().all(|job| job.state == JobState::Dead)
    }

    pub(crate) fn lease(&mut self, kind: JobKind, now: i64) -> Option<Held> {
        let is_before = |other: &Job, job: &Job| match other.state {
            JobState::Leased { .. } => true,
            JobState::Dead => false,
            JobState::Ready if other.kind == kind => other.created < job.created,
            JobState::Ready => other.kind == JobKind::Deploy,
        };
        let one_lane = |other: &Job, job: &Job| {
            (other.app, other.kind == JobKind::Commit) == (job.app, job.kind == JobKind::Commit)
        };
        let may_go = |job: &&Job| {
            job.kind == kind
                && job.state == JobState::Ready
                && (job.visible <= now || job.visible > now + ABSURD_MS)
                && !self.jobs.iter().any(|other| one_lane(other, job) && is_before(other, job))
        };
        let id = self.jobs.iter().filter(may_go).min_by_key(|job| (job.created, job.queued))?.id;
        let job = self.jobs.iter_mut().find(|job| job.id == id)?;
        job.state = JobState::Leased { until: now + LEASE_MS };
        job.fence += 1;
        job.attempts += 1;
        Some(Held { job: id, subject: job.subject, fence: job.fence, attempt: job.attempts })
    }

    fn held(&mut self, held: Held) -> Option<&mut Job> {
        let is_held = |job: &&mut Job| {
            job.id == held.job && job.fence == held.fence && matches!(job.state, JobState::Leased { .. })
        };
        self.jobs.iter_mut().find(is_held)
    }

    /// Ends the job of a lease, and says about which deployment it was; `None` where the lease was lost.
    pub(super) fn end(&mut self, held: Held) -> Option<usize> {
        let id = self.held(held)?.id;
        self.jobs.retain(|job| job.id != id);
        let Subject::Deployment(deployment) = held.subject else { return None };
        Some(deployment)
    }

    pub(crate) fn end_commit(&mut self, held: Held) -> bool {
        let Some(id) = self.held(held).map(|job| job.id) else { return false };
        self.jobs.retain(|job| job.id != id);
        true
    }

    /// `false` where the lease was lost; likewise below.
    pub(crate) fn begin(&mut self, held: Held) -> bool {
        let Subject::Deployment(deployment) = held.subject else { return false };
        let is_held = self.held(held).is_some();
        let state = &mut self.deployments[deployment].state;
        if is_held && *state == Queued {
            *state = Building;
        }
        is_held
    }

    pub(crate) fn renew(&mut self, held: Held, now: i64) -> bool {
        let Some(job) = self.held(held) else { return false };
        job.state = JobState::Leased { until: now + LEASE_MS };
        true
    }

    pub(crate) fn finish(&mut self, held: Held, now: i64) -> bool {
        let Some(deployment) = self.end(held) else { return false };
        self.deployments[deployment].state = Deploying;
        self.deployments[deployment].has_artifact = true;
        let app = self.deployments[deployment].app;
        self.queue(JobKind::Deploy, held.subject, app, now);
        true
    }

    pub(crate) fn fail(&mut self, held: Held) -> bool {
        let Some(deployment) = self.end(held) else { return false };
        self.deployments[deployment].state = Failed;
        true
    }

    /// An attempt is given back; whether the job is given up with it, `None` where the lease was lost.
    pub(crate) fn give_back(&mut self, held: Held, now: i64) -> Option<bool> {
        let job = self.held(held)?;
        job.put_back(now);
        Some(job.state == JobState::Dead)
    }

    /// Takes back what expired.
    pub(crate) fn reap(&mut self, now: i64) {
        for job in &mut self.jobs {
            let JobState::Leased { until } = &mut job.state else { continue };
            *until = (*until).min(now + ABSURD_MS);
            if *until < now {
                job.put_back(now);
            }
        }
    }

    /// Takes back everything, to be tried again at once, where it was tried once: nobody else is there.
    pub(crate) fn reap_all(&mut self, now: i64) {
        for job in self.jobs.iter_mut().filter(|job| matches!(job.state, JobState::Leased { .. })) {
            job.put_back(now);
            if job.attempts <= 1 {
                job.visible = now;
            }
        }
    }

    /// The jobs that were given up.
    pub(crate) fn dead(&self) -> Vec<Subject> {
        self.jobs.iter().filter(|job| job.state == JobState::Dead).map(|job| job.subject).collect()
    }

    /// Tries a job again that was given up; `false` where the life of its deployment does not allow that.
    pub(crate) fn replay(&mut self, subject: Subject, now: i64) -> bool {
        let dead = |job: &&mut Job| job.subject == subject && job.state == JobState::Dead;
        let Some(job) = self.jobs.iter_mut().find(dead) else { return false };
        if let Subject::Deployment(id) = subject {
            let deployment = &mut self.deployments[id];
            let again = if job.kind == JobKind::Build { Queued } else { DeploymentState::Deploying };
            if !deployment.state.may_become(again) {
                return false;
            }
            deployment.state = again;
            deployment.was_replayed = true;
        }
        (job.state, job.attempts, job.visible) = (JobState::Ready, 0, now);
        true
    }
}

impl Job {
    fn put_back(&mut self, now: i64) {
        self.visible = now + (1000 << (self.attempts - 1));
        self.state = if self.attempts >= ATTEMPTS_MAX { JobState::Dead } else { JobState::Ready };
    }
}
