//! What was sent, and what was acknowledged of it: at the end every one of them must be there, once, and have ended.

use std::collections::BTreeSet;
use std::time::Duration;

use skylift_model::wire::Deployment;
use skylift_model::{DeploymentId, DeploymentState};
use skylift_tests::acknowledged::{Acknowledged, Old};
use skylift_tests::app::host_of;
use skylift_tests::archive::Tar;
use skylift_tests::{Platform, Request};

/// Settings for a platform that has one: what was acknowledged stays, however long the test lasts. Clean-up leaves only the newest of
/// those that never went live.
pub(crate) const KEEPS_ALL: &str = "[keep]\ndeployments = 100000\nevery_seconds = 86400\n";

/// How long any answer may take, whatever the network does. What the API promises of its parts, one after another: 8 s until the
/// edge knows that it is gone, 30 s for the rows, for each of the archive's two objects 4 attempts of 10 s and their pauses.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(8 + 30 + 2 * 46);

/// Requests of one app, each with a key of its own, sent until they are answered.
pub(crate) struct Ledger {
    app: &'static str,
    /// Every how many pages one has to be built in a sandbox first; never for 0.
    built_every: usize,
    sent: Vec<Sent>,
    acknowledged: Acknowledged,
}

struct Sent {
    page: String,
    id: Option<DeploymentId>,
}

impl Ledger {
    /// For an app that exists.
    pub(crate) fn new(app: &'static str) -> Self {
        Self { app, built_every: 0, sent: Vec::new(), acknowledged: Acknowledged::default() }
    }

    /// The same, with every third page built first, so that whoever builds has sandboxes in hand.
    pub(crate) fn with_builds(app: &'static str) -> Self {
        Self { built_every: 3, ..Self::new(app) }
    }

    fn is_built(&self, number: usize) -> bool {
        self.built_every > 0 && number.is_multiple_of(self.built_every)
    }

    /// Sends one more page; whether it was acknowledged. Any answer but that must say that it is for now.
    pub(crate) async fn send(&mut self, platform: &Platform) -> bool {
        let page = format!("page {}", self.sent.len());
        self.sent.push(Sent { page, id: None });
        self.repeat_last(platform).await
    }

    async fn repeat_last(&mut self, platform: &Platform) -> bool {
        let number = self.sent.len() - 1;
        let archive = archive(&self.sent[number].page, self.is_built(number));
        let sent = &mut self.sent[number];
        sent.id = send(platform, self.app, number, archive).await;
        if let Some(id) = &sent.id {
            self.acknowledged.note(self.app, id, &sent.page);
        }
        sent.id.is_some()
    }

    /// What was acknowledged and is not there.
    pub(crate) async fn lost(&self, platform: &Platform) -> Vec<String> {
        self.acknowledged.lost(platform).await
    }

    /// Sends again what was not answered, then makes sure of everything that was.
    pub(crate) async fn holds(mut self, platform: &Platform) {
        let lost = self.lost(platform).await;
        assert!(lost.is_empty(), "{lost:#?}");
        let archives: Vec<_> =
            self.sent.iter().enumerate().map(|(at, sent)| archive(&sent.page, self.is_built(at))).collect();
        for ((number, sent), archive) in self.sent.iter_mut().enumerate().zip(archives) {
            let repeated = send(platform, self.app, number, archive).await;
            let repeated = repeated.expect("answered once everything is there again");
            assert!(sent.id.as_ref().is_none_or(|id| *id == repeated), "one key, one deployment");
            self.acknowledged.note(self.app, &repeated, &sent.page);
            sent.id = Some(repeated);
        }
        let app = platform.existing(self.app);
        let ids: BTreeSet<_> = self.sent.iter().filter_map(|sent| sent.id.clone()).collect();
        assert_eq!(ids.len(), self.sent.len(), "no two requests became one");
        for id in &ids {
            app.settled(id).await;
        }
        self.acknowledged.holds(platform, Old::Kept).await;
        let mut live = Vec::new();
        for sent in &self.sent {
            let settled = platform.client().deployment(sent.id.as_ref().unwrap()).await.unwrap();
            let is_told = settled.state != DeploymentState::Failed || settled.failure.is_some();
            assert!(is_told, "{settled:?}");
            if settled.state == DeploymentState::Live {
                live.push(&sent.page);
                assert_eq!(platform.get(&host_of(&settled), "/").await.brief(), format!("200 {}", sent.page));
            }
        }
        assert!(live.len() <= 1, "live: {live:?}");
        if let Some(page) = live.first() {
            assert_eq!(app.get("/").await.brief(), format!("200 {page}"));
        }
    }
}

fn archive(page: &str, is_built: bool) -> Vec<u8> {
    if !is_built {
        return Tar::new().file("index.html", page).gzip();
    }
    let build = format!("require('fs').mkdirSync('dist'); require('fs').writeFileSync('dist/index.html', '{page}');");
    let package = r#"{"name":"built","scripts":{"build":"node build.js"}}"#;
    Tar::new().file("package.json", package).file("build.js", &build).gzip()
}

async fn send(platform: &Platform, app: &str, number: usize, body: Vec<u8>) -> Option<DeploymentId> {
    let request = Request::post(&format!("/v1/apps/{app}/deployments")).body(body);
    let request =
        request.host("localhost").token(&platform.token()).header("idempotency-key", &format!("key-{number}"));
    let answer = request.try_send_within(ANSWER_WITHIN, platform.address()).await?;
    if answer.status == 503 {
        assert!(!answer.header("retry-after").is_empty(), "{}", answer.brief());
        answer.is_error(503, "unavailable");
        return None;
    }
    assert_eq!(answer.status, 202, "{}", answer.brief());
    let deployment: Deployment = serde_json::from_value(answer.json()).unwrap();
    Some(deployment.id)
}
