//! Each operation, done to the store and to the model.

use std::sync::atomic::Ordering;
use std::time::Duration;

use skylift_control::cleanup::{Cleaned, Keep};
use skylift_control::{deploy, reap};
use skylift_model::site::{Asset, Site};
use skylift_model::source::Source;
use skylift_model::wire::Failure;
use skylift_model::{Digest, FileEntry, FileMode, Manifest, Timestamp, TokenId};
use skylift_store::{Accepted, Answer, Done, Idempotency, JobKind, Lease, NewDeployment, Once, SentBytes, StoreError};

use super::{Given, Verdict, World, ensure, failed, name, pick};
use crate::model::{KEPT, Key, LEASE_MS, Subject};
use crate::op::Op;

const LEASE: Duration = Duration::from_millis(LEASE_MS.unsigned_abs());
/// Everything is old enough.
const GRACE: Duration = Duration::ZERO;

impl World {
    pub(super) async fn act(&mut self, op: Op) -> Verdict {
        match op {
            Op::CreateApp { app } => self.create_app(app.into()).await,
            Op::DeleteApp { app } => self.delete_app(app.into()).await,
            Op::SetEnv { app, value } => self.set_env(app.into(), value).await,
            Op::Deploy { app, page } => self.deploy(app, page, self.model.keys.len()).await,
            Op::DeliverAgain { which } => self.deliver_again(which).await,
            Op::Store { page } => self.put(&page_text(page)).await,
            Op::OpenUpload { app, page } => self.open_upload(app.into(), page).await,
            Op::Send { which } => self.send(which).await,
            Op::DeployUpload { which } => self.deploy_upload(which).await,
            Op::LeaseBuild => self.lease(JobKind::Build).await,
            Op::LeaseDeploy => self.lease(JobKind::Deploy).await,
            Op::Begin { which } => self.begin(which).await,
            Op::Renew { which } => self.renew(which).await,
            Op::Finish { which } => self.finish(which).await,
            Op::Fail { which } => self.fail(which).await,
            Op::GiveBack { which } => self.give_back(which).await,
            Op::GoLive { which } => self.go_live(which).await,
            Op::Commit => self.commit(true).await,
            Op::CommitHalf => self.commit(false).await,
            Op::Cancel { which } => self.cancel(which).await,
            Op::RollBack { app } => self.roll_back(app.into()).await,
            Op::RollBackTo { which } => self.roll_back_to(which).await,
            Op::Replay { which } => self.replay(which).await,
            Op::Reap => self.reap().await,
            Op::ReapHalf => self.reap_half().await,
            Op::CleanUp => self.clean_up().await,
            Op::Look => self.look().await,
            Op::Release => self.release().await,
            Op::Wait { seconds } => self.moves(i64::from(seconds)),
            Op::SetBack { seconds } => self.moves(-i64::from(seconds)),
            Op::Restart => self.restart().await,
        }
    }

    fn moves(&self, seconds: i64) -> Verdict {
        self.now.fetch_add(seconds * 1000, Ordering::Relaxed);
        Ok(())
    }

    async fn create_app(&mut self, app: usize) -> Verdict {
        let done = self.store().create_app(name(app), Once::default(), self.time()).await;
        agrees(done, self.model.create_app(app))
    }

    async fn delete_app(&mut self, app: usize) -> Verdict {
        let done = self.store().delete_app(name(app), skylift_store::WithData::No, Once::default(), self.time()).await;
        agrees(done, self.model.delete_app(app))
    }

    async fn set_env(&mut self, app: usize, value: u8) -> Verdict {
        let Some(from) = self.model.apps[app].as_ref().map(|app| app.env_version) else { return Ok(()) };
        let done = self.store().set_env(name(app), from, vec![value], Once::default(), self.time()).await;
        let version = done.map_err(failed)?.made();
        let expected = self.model.set_env(app, value);
        ensure!(version == expected, "version {version:?} of the environment, not {expected:?}");
        Ok(())
    }

    /// Deploys an archive with the key of that number.
    async fn deploy(&mut self, app: u8, page: u8, key: usize) -> Verdict {
        self.put(&page_text(page)).await?;
        let (digest, manifest, document) = manifest_of(page);
        self.put(&document).await?;
        let place = usize::from(app);
        let new = new(place, SentBytes::Archive(digest, manifest));
        let done = self.store().create_deployment(new, once(key), self.time()).await;
        let now = self.now();
        // An archive that is refused leaves nothing, not even the note of what was sent.
        let upload = self.model.open_upload(place, page, now).filter(|upload| self.model.sent(*upload));
        let expected = upload.and_then(|upload| self.model.deploy(upload, now));
        let accepted = match done {
            Ok(done) => Some(done.made().ok_or("a new key was used before")?),
            Err(error) => refused(error)?,
        };
        ensure!(accepted.is_some() == expected.is_some(), "accepted: {accepted:?}");
        let (Some(accepted), Some(made)) = (accepted, expected) else { return Ok(()) };
        let entry = Key { app, page, made, at: now, is_forgotten: false };
        match self.model.keys.get_mut(key) {
            Some(known) => *known = entry,
            None => self.model.keys.push(entry),
        }
        let upload = accepted.deployment.upload.clone().ok_or("an archive without an upload")?;
        self.uploads.push(upload);
        self.ids.push(accepted.deployment.id);
        Ok(())
    }

    async fn deliver_again(&mut self, which: u8) -> Verdict {
        let Some(number) = pick(&self.model.keys, which) else { return Ok(()) };
        let Key { app, page, made, is_forgotten, .. } = self.model.keys[number];
        if is_forgotten {
            return self.deploy(app, page, number).await;
        }
        let (digest, manifest, _) = manifest_of(page);
        let new = new(app.into(), SentBytes::Archive(digest, manifest));
        let done = self.store().create_deployment(new, once(number), self.time()).await.map_err(failed)?;
        let Done::Before(answer) = done else { return Err("one key, two deployments".to_owned()) };
        ensure!(answer.body == self.ids[made].as_str().as_bytes(), "another answer: {answer:?}");
        Ok(())
    }

    async fn open_upload(&mut self, app: usize, page: u8) -> Verdict {
        let (digest, manifest, document) = manifest_of(page);
        self.put(&document).await?;
        let done = self.store().open_upload(name(app), digest, manifest, vec![], Once::default(), self.time()).await;
        let now = self.now();
        let expected = self.model.open_upload(app, page, now);
        let opened = match done {
            Ok(done) => done.made(),
            Err(error) => refused(error)?,
        };
        ensure!(opened.is_some() == expected.is_some(), "opened: {opened:?}");
        let (Some(opened), Some(upload)) = (opened, expected) else { return Ok(()) };
        let is_complete = self.model.uploads[upload].is_complete;
        ensure!(opened.missing.is_empty() == is_complete, "it is told to send {:?}", opened.missing);
        self.uploads.push(opened.id);
        Ok(())
    }

    async fn send(&mut self, which: u8) -> Verdict {
        let Some(upload) = pick(&self.uploads, which) else { return Ok(()) };
        let (page, is_gone) = (self.model.uploads[upload].page, self.model.uploads[upload].is_gone);
        if !is_gone {
            self.put(&page_text(page)).await?;
        }
        let digest = Digest::of(&page_text(page));
        let id = self.uploads[upload].clone();
        let done = self.store().blobs_received(id, vec![digest], Once::default(), self.time()).await;
        agrees(done, self.model.sent(upload))
    }

    async fn deploy_upload(&mut self, which: u8) -> Verdict {
        let Some(upload) = pick(&self.uploads, which) else { return Ok(()) };
        let new = new(self.model.uploads[upload].app, SentBytes::Upload(self.uploads[upload].clone()));
        let done = self.store().create_deployment(new, Once::default(), self.time()).await;
        let now = self.now();
        let expected = self.model.deploy(upload, now);
        let accepted = match done {
            Ok(done) => done.made(),
            Err(error) => refused(error)?,
        };
        ensure!(accepted.is_some() == expected.is_some(), "accepted: {accepted:?}");
        self.ids.extend(accepted.map(|accepted| accepted.deployment.id));
        Ok(())
    }

    async fn lease(&mut self, kind: JobKind) -> Verdict {
        let lease = self.store().lease(kind, self.time(), LEASE).await.map_err(failed)?;
        let now = self.now();
        let held = self.model.lease(kind, now);
        let given = lease.as_ref().map(|lease| (lease.subject.clone(), lease.fence, lease.attempt));
        let expected = held.map(|held| (self.subject(held.subject), held.fence, held.attempt));
        ensure!(given == expected, "leased {given:?}, not {expected:?}");
        let (Some(lease), Some(held)) = (lease, held) else { return Ok(()) };
        let leases = if kind == JobKind::Build { &mut self.builds } else { &mut self.deploys };
        leases.push(Given { lease, held, has_begun: false });
        Ok(())
    }

    fn subject(&self, subject: Subject) -> String {
        match subject {
            Subject::Deployment(id) => self.ids[id].to_string(),
            Subject::App(app) => name(app).to_string(),
        }
    }

    async fn begin(&mut self, which: u8) -> Verdict {
        let Some(place) = pick(&self.builds, which) else { return Ok(()) };
        let Given { lease, held, .. } = self.builds[place].clone();
        let begun = unless_fenced(self.store().begin_build(lease, self.time()).await)?;
        ensure!(begun.is_some() == self.model.begin(held), "begun: {begun:?}");
        let (Some(input), Subject::Deployment(id)) = (begun, held.subject) else { return Ok(()) };
        self.builds[place].has_begun = true;
        let env = self.model.env_of(id).map(|value| vec![value]);
        ensure!(input.env == env, "it is built with the environment {:?}, not {env:?}", input.env);
        let manifest = manifest_of(self.model.deployments[id].page).0;
        ensure!(input.manifest == Some(manifest), "it is built from other files");
        Ok(())
    }

    async fn renew(&mut self, which: u8) -> Verdict {
        let Some(place) = pick(&self.builds, which) else { return Ok(()) };
        let Given { lease, held, .. } = self.builds[place].clone();
        let renewed = unless_fenced(self.store().renew(lease, self.time(), LEASE).await)?;
        let now = self.now();
        ensure!(renewed.is_some() == self.model.renew(held, now), "renewed: {renewed:?}");
        Ok(())
    }

    async fn finish(&mut self, which: u8) -> Verdict {
        let Some(Given { lease, held, .. }) = self.begun(which) else { return Ok(()) };
        let Subject::Deployment(id) = held.subject else { return Ok(()) };
        let page = self.model.deployments[id].page;
        self.put(&site_of(page)).await?;
        let done = unless_fenced(self.store().finish_build(lease, artifact_of(page), self.time()).await)?;
        let now = self.now();
        ensure!(done.is_some() == self.model.finish(held, now), "finished: {done:?}");
        Ok(())
    }

    async fn fail(&mut self, which: u8) -> Verdict {
        let Some(Given { lease, held, .. }) = self.begun(which) else { return Ok(()) };
        let failure = Failure { step: "build".into(), message: "exit 1".into(), exit_code: Some(1), hint: None };
        let done = unless_fenced(self.store().fail_deployment(lease, failure, self.time()).await)?;
        ensure!(done.is_some() == self.model.fail(held), "failed: {done:?}");
        Ok(())
    }

    async fn give_back(&mut self, which: u8) -> Verdict {
        let Some(Given { lease, held, .. }) = self.begun(which) else { return Ok(()) };
        let dead = unless_fenced(self.store().retry(lease, "a fault".to_owned(), self.time()).await)?;
        let now = self.now();
        let expected = self.model.give_back(held, now);
        ensure!(dead == expected, "given up: {dead:?}, not {expected:?}");
        // The builder dies before it has said so.
        self.is_reaped_half |= dead == Some(true);
        Ok(())
    }

    /// A lease whose build was begun: what a builder does first.
    fn begun(&self, which: u8) -> Option<Given> {
        let begun: Vec<&Given> = self.builds.iter().filter(|given| given.has_begun).collect();
        pick(&begun, which).map(|place| begun[place].clone())
    }

    async fn go_live(&mut self, which: u8) -> Verdict {
        let Some(place) = pick(&self.deploys, which) else { return Ok(()) };
        let Given { lease, held, .. } = self.deploys[place].clone();
        deploy::go_live(&self.queue, lease).await;
        let Subject::Deployment(id) = held.subject else { return Ok(()) };
        if !self.model.go_live(held) {
            return Ok(());
        }
        let it = &self.model.deployments[id];
        let newer = self.went_live.iter().find(|other| **other > id && self.model.deployments[**other].app == it.app);
        ensure!(it.was_replayed || newer.is_none(), "deployment {id} went live after the newer {newer:?}");
        self.went_live.insert(id);
        Ok(())
    }

    /// What the committer does, but for Git itself.
    async fn commit(&mut self, to_its_end: bool) -> Verdict {
        let lease = self.store().lease(JobKind::Commit, self.time(), LEASE).await.map_err(failed)?;
        let now = self.now();
        let held = self.model.lease(JobKind::Commit, now);
        ensure!(lease.is_some() == held.is_some(), "leased {lease:?}, not {held:?}");
        let (Some(lease), Some(held)) = (lease, held) else { return Ok(()) };
        let Subject::App(app) = held.subject else { return Err("a commit of no app".to_owned()) };
        ensure!(lease.subject == name(app).as_str(), "a commit of {}, not of app {app}", lease.subject);
        let uncommitted = self.store().uncommitted_uploads(name(app)).await.map_err(failed)?;
        let mut found: Vec<_> = uncommitted.iter().map(|(id, ..)| id.clone()).collect();
        let places = self.model.uncommitted(app);
        let mut expected: Vec<_> = places.iter().map(|place| self.uploads[*place].clone()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        ensure!(found == expected, "to be committed: {found:?}, not {expected:?}");
        for (id, place) in expected.into_iter().zip(places) {
            self.store().set_git_commit(id, "c0ffee".to_owned(), None).await.map_err(failed)?;
            self.model.uploads[place].is_committed = true;
        }
        if to_its_end {
            self.end_commit(lease, held).await?;
        }
        Ok(())
    }

    async fn end_commit(&mut self, lease: Lease, held: crate::model::Held) -> Verdict {
        let done = unless_fenced(self.store().complete(lease).await)?;
        ensure!(done.is_some() == self.model.end_commit(held), "completed: {done:?}");
        Ok(())
    }

    async fn cancel(&mut self, which: u8) -> Verdict {
        let Some(place) = pick(&self.ids, which) else { return Ok(()) };
        let done = self.store().cancel_deployment(self.ids[place].clone(), Once::default(), self.time()).await;
        agrees(done, self.model.cancel(place))
    }

    async fn roll_back(&mut self, app: usize) -> Verdict {
        let done = self.store().roll_back(name(app), None, Once::default(), self.time()).await;
        agrees(done, self.model.roll_back(app).is_some())
    }

    async fn roll_back_to(&mut self, which: u8) -> Verdict {
        let Some(place) = pick(&self.ids, which) else { return Ok(()) };
        let app = name(self.model.deployments[place].app);
        let done = self.store().roll_back(app, Some(self.ids[place].clone()), Once::default(), self.time()).await;
        agrees(done, self.model.roll_back_to(place))
    }

    async fn replay(&mut self, which: u8) -> Verdict {
        let dead = self.model.dead();
        let Some(subject) = pick(&dead, which).map(|place| dead[place]) else { return Ok(()) };
        let text = self.subject(subject);
        let jobs = self.store().jobs(Some("dead".to_owned())).await.map_err(failed)?;
        let job = jobs.into_iter().find(|job| job.subject == text).ok_or("a dead job is not found")?;
        let done = self.store().replay(job.id, Once::default(), self.time()).await;
        let now = self.now();
        agrees(done, self.model.replay(subject, now))
    }

    async fn reap(&mut self) -> Verdict {
        reap::pass(&self.queue).await.map_err(failed)?;
        let now = self.now();
        self.model.reap(now);
        self.model.bury();
        self.is_reaped_half = false;
        Ok(())
    }

    async fn reap_half(&mut self) -> Verdict {
        self.store().reap(self.time()).await.map_err(failed)?;
        let now = self.now();
        self.model.reap(now);
        self.is_reaped_half = true;
        Ok(())
    }

    async fn clean_up(&mut self) -> Verdict {
        let keep = Keep { deployments: u32::try_from(KEPT).unwrap_or(0), bytes: u64::MAX, grace: GRACE };
        self.cleanup().run(keep).await.map_err(|error| format!("clean-up failed: {error:#}"))?;
        let now = self.now();
        self.model.clean_up(now);
        let seen = self.model.look();
        self.model.release(&seen);
        self.check_blobs().await
    }

    async fn look(&mut self) -> Verdict {
        let look = self.cleanup().look().await.map_err(|error| format!("clean-up failed: {error:#}"))?;
        self.look = Some((look, self.model.look()));
        Ok(())
    }

    async fn release(&mut self) -> Verdict {
        let Some((look, seen)) = self.look.take() else { return Ok(()) };
        let released = self.cleanup().release(look, GRACE, &mut Cleaned::default()).await;
        released.map_err(|error| format!("clean-up failed: {error:#}"))?;
        self.model.release(&seen);
        self.check_blobs().await
    }

    async fn put(&self, bytes: &[u8]) -> Verdict {
        self.blobs.put(bytes.to_vec()).await.map(|_| ()).map_err(failed)
    }
}

/// Whether something was done, as expected; what is refused by the state of things is no failure.
fn agrees<T: std::fmt::Debug>(done: Result<T, StoreError>, expected: bool) -> Verdict {
    let done = match done {
        Ok(done) => Some(done),
        Err(error) => refused(error)?,
    };
    ensure!(done.is_some() == expected, "done: {done:?}, expected: {expected}");
    Ok(())
}

fn refused<T>(error: StoreError) -> Result<Option<T>, String> {
    match error {
        StoreError::Conflict(_) | StoreError::NotFound(_) => Ok(None),
        error => Err(failed(error)),
    }
}

fn unless_fenced<T>(done: Result<T, StoreError>) -> Result<Option<T>, String> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(StoreError::Fenced) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn new(app: usize, bytes: SentBytes) -> NewDeployment {
    NewDeployment { app: name(app), source: Source::Archive, dir: None, bytes, secret: None }
}

fn once(key: usize) -> Once<Accepted> {
    let token = TokenId::new(Timestamp::from_millis(0), 0);
    let key = Idempotency { token, key: format!("key-{key}"), request: Digest::of(b"request") };
    Once::new(Some(key), |accepted: &Accepted| Answer {
        status: 202,
        body: accepted.deployment.id.to_string().into_bytes(),
    })
}

pub(super) fn page_text(page: u8) -> Vec<u8> {
    format!("page {page}").into_bytes()
}

/// The list of files of a page's upload, with the bytes of that list.
pub(super) fn manifest_of(page: u8) -> (Digest, Manifest, Vec<u8>) {
    let text = page_text(page);
    let path = "index.html".parse().expect("it is a path");
    let file = FileEntry { path, sha256: Digest::of(&text), size: text.len() as u64, mode: FileMode::File };
    let manifest = Manifest::new(vec![file]).expect("it is a manifest");
    let document = serde_json::to_vec(&manifest).expect("it is written as JSON");
    (Digest::of(&document), manifest, document)
}

fn site_of(page: u8) -> Vec<u8> {
    let text = page_text(page);
    let mut site = Site::default();
    let asset = Asset { sha256: Digest::of(&text), size: text.len() as u64, variants: Vec::new(), immutable: None };
    site.files.insert("index.html".parse().expect("it is a path"), asset);
    serde_json::to_vec(&site).expect("it is written as JSON")
}

pub(super) fn artifact_of(page: u8) -> Digest {
    Digest::of(&site_of(page))
}
