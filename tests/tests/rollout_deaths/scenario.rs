//! What is done to an app that runs while the platform dies, and what must be true after each act.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use skylift_model::rollout::RolloutState;
use skylift_model::wire::{Deployment, InstanceList, Rollout};
use skylift_model::{DeploymentId, DeploymentState, InstanceState};
use skylift_peers::Postgres;
use skylift_tests::census::Census;
use skylift_tests::{Platform, Request, Response, wait};

use super::acts::{ACTS, Act, Canary};
use super::clients::{Clients, Course};
use super::server::{archive, archive_with_release, released};

const APP: &str = "/v1/apps/shop";
const HOST: &str = "shop.localhost";

/// The platform died before it had answered.
struct Died;

/// How a scenario went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The platform died on the way and was started again.
    Died,
    /// It never came to the step at which it was to die.
    Alive,
}

/// One platform that is to die, and what was acknowledged.
pub(crate) struct Scenario {
    platform: Platform,
    ended: Ended,
    course: Arc<Mutex<Course>>,
    clients: Option<Clients>,
    /// Every version that was accepted.
    versions: BTreeMap<&'static str, DeploymentId>,
    live: Option<DeploymentId>,
    wanted: u32,
    pub(crate) answers: u64,
}

impl Scenario {
    /// A fresh platform with variables of its own until it dies.
    pub(crate) async fn with(environment: &[(&str, &str)]) -> Self {
        Self::of(Platform::prepared(""), environment).await
    }

    /// The same, with its rows in a database of its own on a server.
    pub(crate) async fn on(rows: &Postgres, environment: &[(&str, &str)]) -> Self {
        Self::of(Platform::prepared_on(rows.new_database(), ""), environment).await
    }

    async fn of(mut platform: Platform, environment: &[(&str, &str)]) -> Self {
        for (name, value) in environment {
            platform.set_environment(name, value);
        }
        let mut scenario = Self {
            platform,
            ended: Ended::Alive,
            course: Arc::default(),
            clients: None,
            versions: BTreeMap::new(),
            live: None,
            wanted: 1,
            answers: 0,
        };
        if !scenario.platform.try_up().await {
            scenario.start_again().await;
        }
        scenario
    }

    /// Does everything, each act until it is done and all that follows from it is so.
    pub(crate) async fn run(&mut self) -> Ended {
        for act in ACTS {
            while let Err(Died) = self.act(*act).await {
                self.start_again().await;
            }
        }
        while let Err(Died) = self.nothing_is_left_of_the_app().await {
            self.start_again().await;
        }
        self.nothing_is_left().await;
        self.ended
    }

    async fn start_again(&mut self) {
        assert_eq!(self.ended, Ended::Alive, "it dies once: {}", self.platform.log());
        self.ended = Ended::Died;
        self.platform.reap().await;
        self.platform.drop_environment("SKYLIFT_CRASH_AT");
        self.platform.up().await;
    }

    fn deaths(&self) -> u32 {
        u32::from(self.ended == Ended::Died)
    }

    async fn act(&mut self, act: Act) -> Result<(), Died> {
        match act {
            Act::Create => {
                self.post("/v1/apps", "create", json!({ "name": "shop" })).await?;
                return Ok(());
            }
            Act::Scale(wanted) => {
                let scaling = json!({ "min": wanted, "max": wanted, "cpu": null, "in_flight": 1000 });
                self.send(Request::new("PUT", &format!("{APP}/scaling")).json(&scaling)).await?;
                self.wanted = wanted;
            }
            Act::Roll(version) => {
                let id = self.deploy(version, archive(version, "")).await?;
                self.is_settled(&id, DeploymentState::Live).await?;
                self.is_live(id);
            }
            Act::BlueGreen(version) => {
                let source = archive_with_release(version, "strategy = \"blue_green\"\n");
                let id = self.deploy(version, source).await?;
                self.is_settled(&id, DeploymentState::Live).await?;
                self.was_released(&id, version).await?;
                self.is_live(id);
            }
            Act::Canary(version, Canary::Promoted) => {
                let id = self.has_half(version).await?;
                self.post(&format!("{APP}/rollout/promote"), version, Value::Null).await?;
                self.is_settled(&id, DeploymentState::Live).await?;
                self.is_live(id);
            }
            Act::Canary(version, Canary::Aborted) => {
                let before = self.live_version();
                let id = self.has_half(version).await?;
                self.course.lock().unwrap().comes(before);
                self.post(&format!("{APP}/rollout/abort"), version, Value::Null).await?;
                self.course.lock().unwrap().is_confirmed();
                self.is_settled(&id, DeploymentState::Failed).await?;
            }
            Act::RollBack(version) => {
                let id = self.versions[version].clone();
                self.course.lock().unwrap().comes(version);
                self.post(&format!("{APP}/rollback"), version, json!({ "deployment": id })).await?;
                self.is_live(id);
            }
            Act::Watch => {
                self.clients = Some(Clients::come(self.platform.address(), HOST, &self.course));
                return Ok(());
            }
            Act::Leave => {
                if let Some(clients) = self.clients.take() {
                    self.answers = clients.leave(self.deaths()).await;
                }
                return Ok(());
            }
            Act::Delete => {
                let answer = self.answer(Request::new("DELETE", APP)).await?;
                assert!([200, 204, 404].contains(&answer.status), "{}", answer.brief());
                return Ok(());
            }
        }
        self.is_as_it_should_be().await
    }

    fn is_live(&mut self, id: DeploymentId) {
        self.course.lock().unwrap().is_confirmed();
        self.live = Some(id);
    }

    fn live_version(&self) -> &'static str {
        let is_live = |(_, id): &(&&str, &DeploymentId)| Some(*id) == self.live.as_ref();
        self.versions.iter().find(is_live).expect("something is live").0
    }

    /// Deploys a version; returns once that is acknowledged.
    async fn deploy(&mut self, version: &'static str, source: Vec<u8>) -> Result<DeploymentId, Died> {
        self.course.lock().unwrap().comes(version);
        let request = Request::post(&format!("{APP}/deployments")).header("idempotency-key", version);
        let answer = self.send(request.body(source)).await?;
        let accepted: Deployment = serde_json::from_value(answer.json()).unwrap();
        let known = self.versions.entry(version).or_insert_with(|| accepted.id.clone());
        assert_eq!(*known, accepted.id, "one key, one deployment");
        Ok(accepted.id)
    }

    /// Waits until a deployment is settled and, where it is live, every edge says so.
    async fn is_settled(&self, id: &DeploymentId, state: DeploymentState) -> Result<(), Died> {
        // The first build of a process asks the machine's package managers, which may take a minute on a busy machine.
        let looked = wait::until_within(wait::PATIENCE * 5, "it is settled", async || {
            let answer = match self.send(Request::get(&format!("/v1/deployments/{id}"))).await {
                Ok(answer) => answer,
                Err(Died) => return Some(Err(Died)),
            };
            let found: Deployment = serde_json::from_value(answer.json()).unwrap();
            found.state.is_settled().then_some(Ok(found))
        });
        let found = looked.await?;
        // The stream ends once every edge says so, too.
        self.send(Request::get(&format!("/v1/deployments/{id}/events"))).await?;
        assert_eq!(found.state, state, "{:?}", found.failure);
        Ok(())
    }

    /// Deploys a version that is to get half of the requests, and waits until it has them, or had them.
    async fn has_half(&mut self, version: &'static str) -> Result<DeploymentId, Died> {
        let source = archive(version, "strategy = \"canary\"\nsteps = [50]\nstep_seconds = 600\n");
        let id = self.deploy(version, source).await?;
        let looked = wait::until_within(wait::PATIENCE * 5, "half of the requests", async || {
            let answer = match self.answer(Request::get(&format!("{APP}/rollout"))).await {
                Ok(answer) if answer.status == 200 => answer,
                Ok(_) => return None,
                Err(Died) => return Some(Err(Died)),
            };
            let rollout: Rollout = serde_json::from_value(answer.json()).unwrap();
            let there =
                rollout.deployment == id && (rollout.share_percent == 50 || rollout.state != RolloutState::Going);
            there.then_some(Ok(()))
        });
        looked.await.map(|()| id)
    }

    /// The release command of a version has run: once, and once more at most for a death.
    async fn was_released(&self, id: &DeploymentId, version: &str) -> Result<(), Died> {
        let lines = self.platform.client().log_lines(id, None).await.map_err(|_| Died)?;
        let ran = lines.iter().filter(|line| line.text == released(version)).count();
        assert!((1..=1 + self.deaths() as usize).contains(&ran), "{ran} times");
        Ok(())
    }

    /// Exactly one version is live, the one that was acknowledged, and as many instances as are wanted are all there is.
    async fn is_as_it_should_be(&self) -> Result<(), Died> {
        let Some(live) = &self.live else { return Ok(()) };
        let what = format!("{} instances of {live} and no others", self.wanted);
        let looked = wait::until(&what, async || {
            if let Some(clients) = &self.clients {
                clients.are_served_but_for(self.deaths() + u32::from(self.ended == Ended::Alive));
            }
            let answer = match self.send(Request::get(&format!("{APP}/instances"))).await {
                Ok(answer) => answer,
                Err(Died) => return Some(Err(Died)),
            };
            let mut there = serde_json::from_value::<InstanceList>(answer.json()).unwrap().instances;
            there.retain(|one| one.state != InstanceState::Ended);
            let are_its = there.iter().all(|one| one.deployment == *live && one.state == InstanceState::Ready);
            (are_its && there.len() == self.wanted as usize).then_some(Ok(()))
        });
        looked.await?;
        let answer = self.send(Request::get(&format!("{APP}/deployments"))).await?;
        let all: Vec<Deployment> = serde_json::from_value(answer.json()["deployments"].clone()).unwrap();
        let lives: Vec<_> = all.iter().filter(|one| one.state == DeploymentState::Live).map(|one| &one.id).collect();
        assert_eq!(lives, [live]);
        assert!(all.iter().all(|one| one.state.is_settled()), "{all:?}");
        assert!(all.iter().all(|one| self.versions.values().any(|id| *id == one.id)), "{all:?}");
        let answer = Request::get("/").host(HOST).try_send(self.platform.address()).await.ok_or(Died)?;
        assert_eq!(answer.brief(), format!("200 {}", self.live_version()));
        Ok(())
    }

    /// Neither rows nor jobs nor files of an app that was deleted.
    async fn nothing_is_left_of_the_app(&self) -> Result<(), Died> {
        let gone = self.answer(Request::get(&format!("{APP}/instances"))).await?;
        assert_eq!(gone.status, 404);
        let looked = wait::until("nothing is left of the app", async || {
            let jobs = match self.send(Request::get("/v1/jobs")).await {
                Ok(answer) => answer.json()["jobs"].as_array().map_or(0, Vec::len),
                Err(Died) => return Some(Err(Died)),
            };
            (jobs == 0 && self.left(&["instances/instances"]).is_empty()).then_some(Ok(()))
        });
        looked.await
    }

    /// No process, mount or control group is left of a platform that stopped; nor files, once another one has looked for them.
    async fn nothing_is_left(&mut self) {
        assert!(self.platform.stop().await.success(), "{}", self.platform.log());
        Census::becomes_empty(|| self.platform.census()).await;
        self.platform.clear_environment();
        self.platform.up().await;
        let folders = ["instances/layers", "instances/instances", "builds/work", "blobs/partial"];
        wait::until("no files are left over", async || self.left(&folders).is_empty().then_some(())).await;
        self.platform.stop().await;
        Census::becomes_empty(|| self.platform.census()).await;
    }

    fn left(&self, folders: &[&str]) -> Vec<String> {
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(self.platform.data().join(folder)));
        entries.flatten().map(|entry| entry.unwrap().path().display().to_string()).collect()
    }

    async fn post(&self, target: &str, key: &str, body: Value) -> Result<Response, Died> {
        let request = Request::post(target).header("idempotency-key", &format!("{target} {key}"));
        self.send(if body.is_null() { request } else { request.json(&body) }).await
    }

    /// A good answer of the API.
    async fn send(&self, request: Request) -> Result<Response, Died> {
        let answer = self.answer(request).await?;
        assert!((200..300).contains(&answer.status), "{}", answer.brief());
        Ok(answer)
    }

    async fn answer(&self, request: Request) -> Result<Response, Died> {
        let request = request.host("localhost").token(&self.platform.token());
        request.try_send(self.platform.address()).await.ok_or(Died)
    }
}
