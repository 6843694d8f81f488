//! What is done to the platform while it dies, and what must be true afterwards.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use skylift_model::wire::{Deployment, Upload};
use skylift_model::{DeploymentId, DeploymentState};
use skylift_tests::acknowledged::Old;
use skylift_tests::census::Census;
use skylift_tests::steady::Steady;
use skylift_tests::{Platform, Request, Response, wait};

use crate::acts::{ACTS, Act, STEADY};
use crate::figure;
use crate::ledger::Ledger;
use crate::source::{Source, archive, files};
use crate::stores::Stores;

/// How long a deployment may take, where four platforms build at the same time on a machine that has other work.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);

/// Why an act is not done yet.
enum Trouble {
    /// The platform died before it had answered.
    Died,
    /// It answered that it cannot.
    Refused(Response),
    /// What it had accepted, it gave up.
    GaveUp(Box<Deployment>),
}

/// How a scenario went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The platform died on the way and was started again.
    Died,
    /// It never came to the step at which it was to die or to fail.
    Alive,
    /// It failed, said so, and came through without being started again.
    Met,
    /// It failed while it was started, said why, and ended.
    NotStarted,
}

/// One platform with its fault.
pub(crate) struct Scenario {
    platform: Platform,
    ended: Ended,
    steady: Option<Steady>,
}

impl Scenario {
    /// A fresh platform that is told of a fault.
    pub(crate) async fn with(faults: &[(&str, &str)], stores: Stores<'_>) -> Self {
        let mut platform = stores.platform();
        for (name, fault) in faults {
            platform.set_environment(name, fault);
        }
        let mut scenario = Self { platform, ended: Ended::Alive, steady: None };
        if !scenario.platform.try_up().await {
            scenario.start_again().await;
            if scenario.platform.log().contains("fault point") {
                scenario.ended = Ended::NotStarted;
                scenario.said_why();
            }
        }
        scenario
    }

    /// Does everything, each act until it is done, and then looks whether all of it is true.
    pub(crate) async fn run(mut self, ledger: &mut Ledger) -> Ended {
        for act in ACTS {
            if matches!(act, Act::Watch) {
                let host = format!("{STEADY}.localhost");
                self.steady = Some(Steady::begin(self.platform.address(), host, STEADY));
                continue;
            }
            while let Err(trouble) = self.act(act, ledger).await {
                match trouble {
                    Trouble::Died => self.start_again().await,
                    Trouble::Refused(answer) => self.is_told(&answer, ledger).await,
                    Trouble::GaveUp(deployment) => ledger.gave_up(&deployment),
                }
            }
        }
        self.steady_client_was_served().await;
        if self.ended == Ended::Alive {
            if self.platform.log().contains("fault point") {
                self.ended = Ended::Met;
            }
            self.platform.stop().await;
            self.platform.clear_environment();
            self.platform.up().await;
        }
        self.check(ledger).await;
        self.platform.stop().await;
        Census::becomes_empty(|| self.platform.census()).await;
        self.ended
    }

    /// Whoever asks for a page that nobody changes gets it, but while the platform is dead.
    async fn steady_client_was_served(&mut self) {
        let Some(steady) = self.steady.take() else { return };
        let told = steady.end().await;
        figure::add(&told);
        assert!(told.wrong.is_empty(), "{:?}", told.wrong);
        let deaths = u32::from(self.ended == Ended::Died);
        assert!(told.outages <= deaths, "{} times without an answer, {deaths} deaths", told.outages);
    }

    /// Whoever started it can read what was wrong with the disk.
    fn said_why(&self) {
        let log = self.platform.log();
        let told =
            |line: &str| line.contains("error") && ["(os error ", "disk"].iter().any(|words| line.contains(words));
        assert!(log.lines().any(|line| !line.starts_with("fault point") && told(line)), "{log}");
    }

    async fn start_again(&mut self) {
        assert_eq!(self.ended, Ended::Alive, "it dies once: {}", self.platform.log());
        self.ended = Ended::Died;
        self.platform.clear_environment();
        self.platform.reap().await;
        self.platform.up().await;
    }

    /// A refusal says what is wrong, and what is live is served meanwhile.
    async fn is_told(&self, answer: &Response, ledger: &Ledger) {
        let error = &answer.json()["error"];
        assert!([500, 503, 507].contains(&answer.status), "{}", answer.brief());
        for part in ["code", "message", "hint"] {
            assert!(error[part].as_str().is_some_and(|text| !text.is_empty()), "no {part} in {}", answer.brief());
        }
        for name in ledger.apps.keys() {
            self.serves_what_is_live(name, ledger).await;
        }
    }

    /// One act.
    async fn act(&self, act: &Act, ledger: &mut Ledger) -> Result<(), Trouble> {
        match *act {
            Act::Create { app } => {
                let answer = self.post("/v1/apps", app, Some(serde_json::json!({ "name": app }))).await?;
                is_one_of(answer, &[201, 200])?;
            }
            Act::Deploy { app, page } => self.goes_live(app, page, Source::Archive, ledger).await?,
            Act::DeployFolder { app, page } => self.goes_live(app, page, Source::Folder, ledger).await?,
            Act::Build { app, page } => self.goes_live(app, page, Source::Built, ledger).await?,
            Act::DeployAndCancel { app, page } => {
                let id = self.deploy(app, page, Source::Archive, ledger).await?;
                let cancelled = self.send(Request::post(&format!("/v1/deployments/{id}/cancel"))).await?;
                is_one_of(cancelled, &[200, 202, 409])?;
                let settled = self.settled(&id).await?;
                match settled.state {
                    DeploymentState::Live => {
                        ledger.is_live(app, &settled.id);
                        self.is_served(app, page).await?;
                    }
                    DeploymentState::Cancelled => {}
                    _ => return Err(Trouble::GaveUp(Box::new(settled))),
                }
            }
            Act::RollBack { app, page } => {
                let to = ledger.brought(app, page);
                let body = serde_json::json!({ "deployment": to });
                let answer = self.post(&format!("/v1/apps/{app}/rollback"), page, Some(body)).await?;
                is_one_of(answer, &[200])?;
                ledger.is_live(app, &to);
            }
            Act::SetEnv { app } => {
                let change = serde_json::json!({ "set": { "COLOUR": "blue" } });
                let request = Request::new("PATCH", &format!("/v1/apps/{app}/env")).json(&change);
                is_one_of(self.send(request).await?, &[200, 204])?;
            }
            Act::CleanUp => {
                is_one_of(self.send(Request::post("/v1/gc")).await?, &[200])?;
            }
            Act::Watch => {}
            Act::Delete { app } => {
                let answer = self.send(Request::new("DELETE", &format!("/v1/apps/{app}"))).await?;
                is_one_of(answer, &[200, 204, 404])?;
                ledger.deleted(app);
            }
        }
        Ok(())
    }

    async fn goes_live(&self, app: &str, page: &str, source: Source, ledger: &mut Ledger) -> Result<(), Trouble> {
        let id = self.deploy(app, page, source, ledger).await?;
        let settled = self.settled(&id).await?;
        if settled.state != DeploymentState::Live {
            return Err(Trouble::GaveUp(Box::new(settled)));
        }
        ledger.is_live(app, &id);
        self.is_served(app, page).await
    }

    /// Whoever asks for a deployment's row is told that it is live as soon as that is committed; its route follows. From then on it is served.
    async fn is_served(&self, app: &str, page: &str) -> Result<(), Trouble> {
        let (host, expected) = (format!("{app}.localhost"), format!("200 {page}"));
        let looked =
            wait::until_within(SETTLED_WITHIN, "what is live is served, or the platform is dead", async || {
                match Request::get("/").host(&host).try_send(self.platform.address()).await {
                    Some(answer) => (answer.brief() == expected).then_some(Ok(())),
                    None => Some(Err(Trouble::Died)),
                }
            });
        looked.await
    }

    /// Deploys a page; returns once that is acknowledged.
    async fn deploy(
        &self,
        app: &str,
        page: &str,
        source: Source,
        ledger: &mut Ledger,
    ) -> Result<DeploymentId, Trouble> {
        let key = format!("{page}, attempt {}", ledger.given_up(app, page));
        let request = Request::post(&format!("/v1/apps/{app}/deployments")).header("idempotency-key", &key);
        let request = match source {
            Source::Folder => {
                // An attempt that was given up has brought all of it.
                let least = usize::from(ledger.given_up(app, page) == 0);
                let upload = self.upload(app, (page, least), &key).await?;
                request.json(&serde_json::json!({ "upload": upload.id }))
            }
            Source::Archive | Source::Built => request.body(archive(page, source)),
        };
        let answer = is_one_of(self.send(request).await?, &[202])?;
        let id = deployment(&answer.json()).id;
        ledger.accepted(app, &id, page);
        Ok(id)
    }

    /// Sends what is missing of a folder: so many files at least, and not all.
    async fn upload(&self, app: &str, (page, least): (&str, usize), key: &str) -> Result<Upload, Trouble> {
        let files = files(page);
        let entries: Vec<_> = files.iter().map(|(entry, _)| entry).collect();
        let body = serde_json::json!({ "files": entries });
        let answer = self.post(&format!("/v1/apps/{app}/uploads"), key, Some(body)).await?;
        let upload: Upload = serde_json::from_value(is_one_of(answer, &[201])?.json()).unwrap();
        assert!((least..files.len()).contains(&upload.missing.len()), "some of it is there: {upload:?}");
        for digest in &upload.missing {
            let (_, bytes) = files.iter().find(|(entry, _)| entry.sha256 == *digest).expect("one of its files");
            let request = Request::new("PUT", &format!("/v1/uploads/{}/blobs/{digest}", upload.id));
            is_one_of(self.send(request.body(bytes.clone())).await?, &[204])?;
        }
        Ok(upload)
    }

    async fn settled(&self, id: &DeploymentId) -> Result<Deployment, Trouble> {
        let looked = wait::until_within(SETTLED_WITHIN, "it is settled, or the platform is dead", async || {
            let answer = match self.send(Request::get(&format!("/v1/deployments/{id}"))).await {
                Ok(answer) => answer,
                Err(trouble) => return Some(Err(trouble)),
            };
            let found = deployment(&answer.json());
            found.state.is_settled().then_some(Ok(found))
        });
        looked.await
    }

    async fn post(&self, target: &str, key: &str, body: Option<Value>) -> Result<Response, Trouble> {
        let request = Request::post(target).header("idempotency-key", &format!("{target} {key}"));
        self.send(if let Some(body) = &body { request.json(body) } else { request }).await
    }

    async fn send(&self, request: Request) -> Result<Response, Trouble> {
        let request = request.host("localhost").token(&self.platform.token());
        request.try_send(self.platform.address()).await.ok_or(Trouble::Died)
    }

    /// Everything acknowledged is there, nothing else is, and nothing is left over.
    async fn check(&self, ledger: &Ledger) {
        let client = self.platform.client();
        let found: Vec<_> = client.apps().await.unwrap().into_iter().map(|app| app.name.to_string()).collect();
        assert_eq!(found, ledger.apps.keys().cloned().collect::<Vec<_>>(), "{ledger:?}");
        for app in &ledger.deleted {
            assert_eq!(self.platform.get(&format!("{app}.localhost"), "/").await.status, 404);
        }
        for (name, expected) in &ledger.apps {
            let app = self.platform.existing(name);
            assert_eq!(app.live().await, expected.live, "{ledger:?}");
            for deployment in app.deployments().await {
                let known = expected.deployments.iter().find(|(id, _)| *id == deployment.id);
                let (id, page) = known.unwrap_or_else(|| panic!("{} was never acknowledged", deployment.id));
                assert!(deployment.state.is_settled(), "{id} is {}", deployment.state);
                let is_live = expected.live.as_ref() == Some(id);
                assert_eq!(deployment.state == DeploymentState::Live, is_live, "{id} is {}", deployment.state);
                let gave_up = deployment.state == DeploymentState::Failed;
                assert_eq!(gave_up, expected.given_up.contains(id), "{id} {:?}", deployment.failure);
                if matches!(deployment.state, DeploymentState::Live | DeploymentState::Previous) {
                    let served = self.platform.get(&format!("{id}.localhost"), "/").await;
                    assert_eq!(served.brief(), format!("200 {page}"));
                }
            }
            self.serves_what_is_live(name, ledger).await;
        }
        ledger.acknowledged.holds(&self.platform, Old::MayBeGone).await;
        // The commits to Git follow by themselves. What was given up waits for the owner.
        wait::until("every job is done", async || {
            client.jobs(None).await.unwrap().iter().all(|job| ledger.waits_for_the_owner(job)).then_some(())
        })
        .await;
        self.check_git(ledger);
        self.check_leftovers().await;
    }

    async fn serves_what_is_live(&self, name: &str, ledger: &Ledger) {
        let expected = &ledger.apps[name];
        let Some(live) = &expected.live else { return };
        let (_, page) = expected.deployments.iter().find(|(id, _)| id == live).expect("what is live was accepted");
        assert_eq!(self.platform.existing(name).get("/").await.brief(), format!("200 {page}"), "{ledger:?}");
    }

    /// Each upload is a commit of a repository that is whole.
    fn check_git(&self, ledger: &Ledger) {
        for (name, expected) in &ledger.apps {
            let git = |arguments: &[&str]| {
                let repository = self.platform.data().join("git").join(format!("{name}.git"));
                let ran = Command::new("git").arg("-C").arg(repository).args(arguments).output().unwrap();
                assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
                String::from_utf8(ran.stdout).unwrap()
            };
            git(&["fsck", "--full", "--strict"]);
            let commits = git(&["rev-list", "--count", "HEAD"]).trim().parse::<usize>().unwrap();
            assert_eq!(commits, expected.deployments.len(), "{ledger:?}");
        }
    }

    /// What lost attempts left is removed in the background.
    async fn check_leftovers(&self) {
        let left = || {
            let names = |folder: &str| {
                let entries = std::fs::read_dir(self.platform.data().join(folder)).into_iter().flatten();
                entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
            };
            let removed = names("builds").into_iter().filter(|name| name.starts_with("removed-"));
            [names("blobs/partial"), names("builds/work"), removed.collect()].concat()
        };
        wait::until("nothing is left over", async || left().is_empty().then_some(())).await;
    }
}

fn deployment(body: &Value) -> Deployment {
    serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{error} in {body}"))
}

/// The answer, where its status is one that was hoped for. A refusal of the request itself fails the test.
#[track_caller]
fn is_one_of(answer: Response, statuses: &[u16]) -> Result<Response, Trouble> {
    if statuses.contains(&answer.status) {
        return Ok(answer);
    }
    assert!(answer.status >= 500, "{}", answer.brief());
    Err(Trouble::Refused(answer))
}
