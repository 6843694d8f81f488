//! Nothing fails: deploys, rollbacks, canaries that are taken back, scaling out and in, under clients that count every request,
//! repeat none, and know which versions may answer. What the death of an instance takes with it is counted apart.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "no_failures/clients.rs"]
mod clients;
#[path = "no_failures/ledger.rs"]
mod ledger;
#[path = "no_failures/server.rs"]
mod server;
#[path = "no_failures/streams.rs"]
mod streams;

use std::sync::Arc;

use skylift_model::wire::Instance;
use skylift_model::{DeploymentId, InstanceState};
use skylift_tests::app::App;
use skylift_tests::platform::Platform;
use skylift_tests::{process, skip, wait};

use clients::Clients;
use ledger::{KINDS, Kind, Ledger, Told};
use server::{Harm, harmed, server};

/// How often each thing is done.
struct Counts {
    deploys: usize,
    rollbacks: usize,
    canaries: usize,
    /// How many more are taken back by themselves, since they fail.
    failing: usize,
    /// Or since they are slow.
    slow: usize,
    /// Out to so many and back to one.
    scalings: usize,
    most: usize,
    kills: usize,
    /// Clients for each kind of request, 50 requests a second each at most.
    clients: u64,
}

const FEW: Counts =
    Counts { deploys: 3, rollbacks: 1, canaries: 1, failing: 1, slow: 0, scalings: 1, most: 3, kills: 2, clients: 1 };
const MANY: Counts = Counts {
    deploys: 100,
    rollbacks: 20,
    canaries: 10,
    failing: 9,
    slow: 1,
    scalings: 6,
    most: 10,
    kills: 20,
    clients: 4,
};

fn counts() -> Counts {
    if std::env::var_os("SKYLIFT_SOAK").is_some() { MANY } else { FEW }
}

/// An app, what is live of it, and who counts.
struct Shop<'p> {
    app: App<'p>,
    ledger: Arc<Ledger>,
    versions: usize,
    live: (DeploymentId, String),
}

impl<'p> Shop<'p> {
    /// With two instances, and clients.
    async fn open(platform: &'p Platform) -> (Self, Clients) {
        let ledger = Arc::<Ledger>::default();
        let app = platform.app("shop").await;
        let live = app.deploy(&server("v0", "")).await.id;
        ledger.comes("v0");
        ledger.is_live();
        let shop = Self { app, ledger, versions: 0, live: (live, "v0".to_owned()) };
        shop.scale(2).await;
        let clients = Clients::come(platform.address(), &shop.ledger, counts().clients);
        (shop, clients)
    }

    async fn scale(&self, count: usize) {
        let arguments = ["scale", "shop", &count.to_string(), "--max", "10", "--in-flight", "1000"];
        self.app.platform.cli(&arguments).await.ok();
        self.has(count).await;
    }

    /// Waits until there are so many instances that answer, and no others.
    async fn has(&self, count: usize) {
        wait::until(&format!("{count} instances of {} alone", self.live.0), async || {
            let there = self.alive().await;
            let is_one = |one: &Instance| one.deployment == self.live.0 && one.state == InstanceState::Ready;
            (there.len() == count && there.iter().all(is_one)).then_some(())
        })
        .await;
    }

    async fn alive(&self) -> Vec<Instance> {
        let list = self.app.platform.client().instances(&self.app.name).await.unwrap().instances;
        list.into_iter().filter(|one| one.state != InstanceState::Ended).collect()
    }

    fn next_version(&mut self) -> String {
        self.versions += 1;
        let version = format!("v{}", self.versions);
        self.ledger.comes(&version);
        version
    }

    async fn deploy(&mut self) {
        let version = self.next_version();
        let folder = server(&version, "");
        // The command line waits until every edge says so.
        self.app.cli_deploy(&folder, &[]).await.ok();
        self.ledger.is_live();
        self.live = (self.app.live().await.unwrap(), version);
    }

    /// To what was live before, which the next one goes back from.
    async fn roll_back(&mut self, before: (DeploymentId, String)) {
        self.ledger.comes(&before.1);
        self.app.platform.cli(&["rollback", "shop", before.0.as_str()]).await.ok();
        self.ledger.is_live();
        self.live = before;
    }

    /// Gives a new version half of the requests, and takes them back.
    async fn try_canary(&mut self) {
        let version = self.next_version();
        let rollout = "strategy = \"canary\"\nsteps = [50]\nstep_seconds = 600\n";
        let canary = self.app.begin(&server(&version, rollout)).await.id;
        wait::until("the canary has its share", async || {
            let rollout = self.app.platform.client().rollout(&self.app.name).await.unwrap();
            (rollout.deployment == canary && rollout.share_percent >= 50).then_some(())
        })
        .await;
        self.ledger.comes(&self.live.1);
        self.app.platform.cli(&["rollout", "shop", "abort"]).await.ok();
        self.ledger.is_live();
    }

    /// Gives half of the requests to a version that does worse, which is taken back by itself.
    async fn try_bad_canary(&mut self, harm: Harm) {
        let version = self.next_version();
        if harm == Harm::Fails {
            self.ledger.is_faulty(&version);
        }
        let rollout = "strategy = \"canary\"\nsteps = [50]\nstep_seconds = 600\n";
        let ran = self.app.cli_deploy(&harmed(&version, rollout, harm), &[]).await;
        let cause = if harm == Harm::Fails { "answers failed" } else { "took longer than" };
        assert!(
            ran.exit != 0 && ran.stderr.contains("rollout aborted: ") && ran.stderr.contains(cause),
            "{}",
            ran.stderr
        );
        self.ledger.comes(&self.live.1);
        // What it had under way when it was taken back it may answer, until its instances are gone.
        self.has(2).await;
        self.ledger.is_live();
    }

    /// As the kernel may: every process of an instance at once.
    async fn kill_one(&self) {
        let one = self.alive().await.into_iter().find(|one| one.state == InstanceState::Ready).unwrap();
        self.ledger.kills(one.id.as_str());
        process::kill_all(&format!("SKYLIFT_INSTANCE={}", one.id)).await;
        wait::until("the dead one is replaced", async || {
            self.alive().await.iter().all(|other| other.id != one.id).then_some(())
        })
        .await;
        self.has(2).await;
    }
}

#[expect(clippy::print_stderr, reason = "a figure of the test")]
fn print(what: &str, told: &Told) {
    let each: Vec<String> = KINDS.iter().zip(told.answered).map(|(kind, count)| format!("{count} {kind:?}")).collect();
    eprintln!("figure: {what}: answered {}, failed {}", each.join(", ").to_lowercase(), told.failed.len());
}

#[tokio::test]
async fn no_request_fails_whatever_is_deployed_rolled_back_or_scaled() {
    let counts = counts();
    let platform = Platform::start().await;
    let (mut shop, clients) = Shop::open(&platform).await;
    for _ in 0..counts.deploys {
        shop.deploy().await;
    }
    let mut before = shop.live.clone();
    shop.deploy().await;
    for _ in 0..counts.rollbacks {
        let live = shop.live.clone();
        shop.roll_back(std::mem::replace(&mut before, live)).await;
    }
    for _ in 0..counts.canaries {
        shop.try_canary().await;
    }
    for _ in 0..counts.failing {
        shop.try_bad_canary(Harm::Fails).await;
    }
    for _ in 0..counts.slow {
        shop.try_bad_canary(Harm::Dawdles).await;
    }
    for _ in 0..counts.scalings {
        shop.scale(counts.most).await;
        shop.scale(1).await;
    }
    clients.leave().await;
    let told = shop.ledger.told(&platform.log());
    assert_eq!(told.failed, Vec::<String>::new());
    assert_eq!(told.faults > 0, counts.failing > 0, "{told:?}");
    assert!(told.answered.iter().all(|count| *count > 2), "{told:?}");
    print(
        &format!(
            "{} deploys, {} rollbacks, {} canaries taken back by hand and {} by themselves, {} instances removed",
            counts.deploys + 1,
            counts.rollbacks,
            counts.canaries,
            counts.failing + counts.slow,
            counts.scalings * (counts.most - 1)
        ),
        &told,
    );
}

#[tokio::test]
async fn the_death_of_an_instance_takes_with_it_only_what_nobody_can_repeat() {
    let test = "the_death_of_an_instance_takes_with_it_only_what_nobody_can_repeat";
    if !skip::unless_root(test) {
        return;
    }
    let platform = Platform::start().await;
    let (mut shop, clients) = Shop::open(&platform).await;
    let kills = counts().kills;
    for number in 1..=kills {
        shop.kill_one().await;
        // A version that ends again and again is started again later and later.
        if number % 3 == 0 {
            shop.deploy().await;
            shop.has(2).await;
        }
    }
    clients.leave().await;
    let told = shop.ledger.told(&platform.log());
    assert_eq!(told.failed, Vec::<String>::new());
    // One of each kind is under way at a time, for each client.
    for (kind, lost) in KINDS.iter().zip(told.lost) {
        let is_repeated = matches!(kind, Kind::Read | Kind::Again | Kind::Stream);
        let most = if is_repeated { 0 } else { kills as u64 * counts().clients };
        assert!(lost <= most, "{kind:?}: {told:?}");
    }
    let [_, _, posts, downloads, sockets, _, streamed] = told.lost;
    let posts = posts + streamed;
    let lost =
        format!("lost with them {posts} posts, {sockets} conversations and {downloads} downloads that had begun");
    print(&format!("{kills} instances killed, {lost}"), &told);
}

/// Control: an instance that is told to end before every edge has let go of it takes something with it.
#[tokio::test]
async fn control_without_the_edges_word_something_fails() {
    if std::env::var_os("SKYLIFT_TEST_URL").is_some() {
        return;
    }
    let mut platform = Platform::prepared("");
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-drain");
    platform.up().await;
    let (mut shop, clients) = Shop::open(&platform).await;
    for _ in 0..3 {
        shop.deploy().await;
    }
    clients.leave().await;
    let told = shop.ledger.told(&platform.log());
    assert!(!told.failed.is_empty(), "{told:?}");
}
