//! Route changes that cannot be right.

use skylift_blob::Blobs;
use skylift_model::program::Protocol;
use skylift_model::route::{AppRoutes, RoutedDeployment, RoutedInstance, RoutedShare};
use skylift_model::site::Site;
use skylift_model::{Digest, Timestamp};

use crate::dsl::{Dice, id, instance, site};

/// Larger manifests are not read.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 << 10;
/// How many deployments an oversized change names.
const OVERSIZED: u64 = 1_000;
/// How many of the other apps' deployments there are: numbers 2 and 3.
const FOREIGN: [u64; 2] = [2, 3];

/// What is wrong with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    LiveIsNotKept,
    Twice,
    Foreign,
    Stale,
    Missing,
    Garbage,
    Altered,
    RunsAllAtOnce,
    OfAnotherApp,
    Oversized,
}

pub(super) const KINDS: &[Kind] = &[
    Kind::LiveIsNotKept,
    Kind::Twice,
    Kind::Foreign,
    Kind::Stale,
    Kind::Missing,
    Kind::Garbage,
    Kind::Altered,
    Kind::RunsAllAtOnce,
    Kind::OfAnotherApp,
    Kind::Oversized,
];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LiveIsNotKept => "live is not kept",
            Self::Twice => "a deployment twice",
            Self::Foreign => "a deployment of another app",
            Self::Stale => "from before",
            Self::Missing => "an artifact that is not there",
            Self::Garbage => "an artifact that is no manifest",
            Self::Altered => "a deployment with other bytes",
            Self::RunsAllAtOnce => "a site that became a program",
            Self::OfAnotherApp => "routes of an app that was not asked for",
            Self::Oversized => "thousands of deployments",
        }
    }
}

/// Makes them of good routes.
pub(super) struct Bad {
    good: AppRoutes,
    dice: Dice,
    /// Artifacts that are stored and no manifests.
    garbage: Vec<Digest>,
    /// A good one, of other bytes.
    other: Digest,
}

impl Bad {
    pub(super) async fn new(blobs: &Blobs, good: AppRoutes, mut dice: Dice) -> Self {
        let mut garbage = Vec::new();
        for bytes in garbage_of(&mut dice) {
            garbage.push(blobs.put(bytes).await.unwrap());
        }
        let other = site().file("index.html", "other").store(blobs).await;
        Self { good, dice, garbage, other }
    }

    pub(super) fn good(&self) -> &AppRoutes {
        &self.good
    }

    /// A change, and the app that is asked for.
    pub(super) fn routes(&mut self, kind: Kind) -> (&'static str, AppRoutes) {
        let mut routes = self.good.clone();
        routes.generation = *self.dice.pick(&[7, 8, 9, 1_000, u64::MAX]);
        self.make_noise(&mut routes);
        let one = routes.deployments[0].clone();
        let new = |artifact| RoutedDeployment::new(id(50_000), artifact);
        match kind {
            Kind::LiveIsNotKept => routes.live = Some(id(60_000 + self.dice.below(1_000))),
            Kind::Twice => {
                let at = self.dice.below(routes.deployments.len() as u64 + 1);
                routes.deployments.insert(usize::try_from(at).unwrap(), one);
            }
            Kind::Foreign => {
                let stolen = id(*self.dice.pick(&FOREIGN));
                routes.deployments.push(RoutedDeployment::new(stolen.clone(), self.other));
                routes.live = Some(stolen);
            }
            Kind::Stale => {
                routes.generation = self.dice.below(7);
                routes.live = None;
            }
            Kind::Missing => go_live(&mut routes, new(Digest::of(&self.dice.next().to_be_bytes()))),
            Kind::Garbage => go_live(&mut routes, new(*self.dice.pick(&self.garbage))),
            Kind::Altered => routes.deployments[0].artifact = self.other,
            Kind::RunsAllAtOnce => routes.deployments[0].runs = true,
            Kind::OfAnotherApp => {
                routes.live = None;
                return ("witness", routes);
            }
            Kind::Oversized => {
                let many = (0..OVERSIZED).map(|number| RoutedDeployment::new(id(70_000 + number), self.other));
                routes.deployments.extend(many);
                let last = routes.deployments.last().unwrap().clone();
                routes.deployments.push(last);
            }
        }
        ("shop", routes)
    }

    /// What makes no difference: the rest is as it may be, whatever it says.
    fn make_noise(&mut self, routes: &mut AppRoutes) {
        let dice = &mut self.dice;
        for number in 0..dice.below(4) {
            let deployment = id(*dice.pick(&[1, 2, 60_000]));
            let node = "n".repeat(usize::try_from(dice.below(300)).unwrap());
            let (serving, draining) = (dice.below(2) == 0, dice.below(2) == 0);
            routes.instances.push(RoutedInstance {
                id: instance(&deployment, number),
                deployment,
                node,
                serving,
                draining,
                unhealthy: !serving,
            });
        }
        if dice.below(3) == 0 {
            let hundredths = u16::try_from(dice.below(1 << 16)).unwrap();
            routes.share = Some(RoutedShare { deployment: id(dice.below(5)), hundredths });
        }
        routes.stopped = dice.below(2) == 0;
        if dice.below(3) == 0 {
            routes.deployments[0].protocol = Protocol::H2c;
        }
        if dice.below(3) == 0 {
            routes.deployments[0].replaced = Some(Timestamp::from_millis(i64::MIN));
        }
        for number in 0..dice.below(3) {
            routes.deployments.push(RoutedDeployment::new(id(40_000 + number), self.other));
        }
    }
}

fn go_live(routes: &mut AppRoutes, new: RoutedDeployment) {
    routes.live = Some(new.id.clone());
    routes.deployments.insert(0, new);
}

/// Damaged manifests, and some that are too large or too deep. None of them is a manifest.
fn garbage_of(dice: &mut Dice) -> Vec<Vec<u8>> {
    let good = serde_json::to_vec(&Site::default()).unwrap();
    let large = |fill: &str| fill.repeat(usize::try_from(MANIFEST_BYTES_MAX).unwrap()).into_bytes();
    let mut garbage =
        vec![Vec::new(), b"null".to_vec(), b"[]".to_vec(), vec![0xff; 100], large("["), large("{}"), large(" ")];
    let deep = format!("{{\"files\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    garbage.extend([deep.into_bytes(), b"{\"files\":{\"../x\":1e999}}".to_vec()]);
    for cut in (0..good.len()).step_by(7) {
        garbage.push(good[..cut].to_vec());
    }
    while garbage.len() < 60 {
        let mut damaged = good.clone();
        for _ in 0..=dice.below(4) {
            let at = usize::try_from(dice.below(damaged.len() as u64)).unwrap();
            damaged[at] ^= 1 << dice.below(8);
        }
        garbage.push(damaged);
    }
    garbage.retain(|bytes| {
        bytes.len() > usize::try_from(MANIFEST_BYTES_MAX).unwrap() || serde_json::from_slice::<Site>(bytes).is_err()
    });
    garbage
}
