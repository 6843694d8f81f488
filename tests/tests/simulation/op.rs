//! What may happen, and histories of it that follow from a seed.

use skylift_tests::random::Random;

/// Something that happens. Numbers pick from what there is, so that any part of a history is a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    CreateApp {
        app: u8,
    },
    DeleteApp {
        app: u8,
    },
    SetEnv {
        app: u8,
        value: u8,
    },
    /// Deploys an archive.
    Deploy {
        app: u8,
        page: u8,
    },
    /// A deploy is delivered once more, with its key.
    DeliverAgain {
        which: u8,
    },
    /// Bytes arrive that nothing names yet.
    Store {
        page: u8,
    },
    /// Announces a file to be sent.
    OpenUpload {
        app: u8,
        page: u8,
    },
    /// Sends what an upload waits for.
    Send {
        which: u8,
    },
    DeployUpload {
        which: u8,
    },
    /// A worker takes a build. It may never be heard of again.
    LeaseBuild,
    LeaseDeploy,
    /// A worker begins the build of a lease, which it may have lost long ago; likewise below.
    Begin {
        which: u8,
    },
    Renew {
        which: u8,
    },
    Finish {
        which: u8,
    },
    Fail {
        which: u8,
    },
    /// A fault of the platform's own.
    GiveBack {
        which: u8,
    },
    GoLive {
        which: u8,
    },
    /// Commits an app's uploads to Git.
    Commit,
    /// The same, but the committer dies before it has told that it is done.
    CommitHalf,
    Cancel {
        which: u8,
    },
    RollBack {
        app: u8,
    },
    RollBackTo {
        which: u8,
    },
    /// A job that was given up is tried again.
    Replay {
        which: u8,
    },
    Reap,
    /// The reaper dies after its first transaction.
    ReapHalf,
    CleanUp,
    /// Clean-up looks which blobs nothing names …
    Look,
    /// … and later removes what it saw then.
    Release,
    Wait {
        seconds: u32,
    },
    /// The clock is set back.
    SetBack {
        seconds: u32,
    },
    /// Every process dies, and one starts again.
    Restart,
}

/// What a history is about: those in which everything may happen seldom go far in anything.
struct Mood {
    apps: u64,
    /// Nothing is built to its end: attempts are lost, until they are used up.
    is_ill_fated: bool,
    /// Some kinds of things do not happen in it.
    without: Vec<std::mem::Discriminant<Op>>,
}

/// The history of a seed.
pub(crate) fn history(seed: u64) -> Vec<Op> {
    let mut random = Random::of(seed);
    let apps = 1 + random.below(3);
    let without = (0..random.below(12)).map(|_| std::mem::discriminant(&any(&mut random, apps))).collect();
    let mood = Mood { apps, is_ill_fated: random.below(4) == 0, without };
    let length = 20 + random.below(60);
    let start = (0..3).map(|app| Op::CreateApp { app });
    start.chain((0..length).map(|_| mood.next(&mut random))).collect()
}

impl Mood {
    fn next(&self, random: &mut Random) -> Op {
        if self.is_ill_fated && random.below(3) > 0 {
            let which = u8::MAX;
            let lost = [
                Op::LeaseBuild,
                Op::LeaseBuild,
                Op::LeaseDeploy,
                Op::Begin { which },
                Op::Begin { which },
                Op::GiveBack { which },
                Op::CommitHalf,
                Op::Wait { seconds: 5 },
                Op::Wait { seconds: 31 },
                Op::Reap,
                Op::ReapHalf,
                Op::Restart,
            ];
            return lost[usize::try_from(random.below(lost.len() as u64)).unwrap()];
        }
        let mut op = any(random, self.apps);
        for _ in 0..8 {
            if !self.without.contains(&std::mem::discriminant(&op)) {
                break;
            }
            op = any(random, self.apps);
        }
        op
    }
}

fn any(random: &mut Random, apps: u64) -> Op {
    let mut byte = |end: u64| u8::try_from(random.below(end)).unwrap();
    // One of all, or the newest: what is late, or what goes on.
    let (app, page, which) = (byte(apps), byte(6), [byte(64), u8::MAX][usize::from(byte(2))]);
    match byte(100) {
        0 => Op::CreateApp { app },
        1 => Op::DeleteApp { app },
        2..5 => Op::SetEnv { app, value: page },
        5..18 => Op::Deploy { app, page },
        18..20 => Op::DeliverAgain { which },
        20 => Op::Store { page },
        21..23 => Op::OpenUpload { app, page },
        23..26 => Op::Send { which },
        26..29 => Op::DeployUpload { which },
        29..39 => Op::LeaseBuild,
        39..45 => Op::LeaseDeploy,
        45..53 => Op::Begin { which },
        53..55 => Op::Renew { which },
        55..64 => Op::Finish { which },
        64 => Op::Fail { which },
        65..68 => Op::GiveBack { which },
        68..75 => Op::GoLive { which },
        75..79 => Op::Commit,
        79 => Op::CommitHalf,
        80..82 => Op::Cancel { which },
        82..85 => Op::RollBack { app },
        85..87 => Op::RollBackTo { which },
        87 => Op::Replay { which },
        88..90 => Op::Reap,
        90 => Op::ReapHalf,
        91 => Op::CleanUp,
        92..94 => Op::Look,
        94 => Op::Release,
        95..97 => Op::Wait { seconds: [1, 5, 31, 31, 100, 90_000][usize::from(page)] },
        97 => Op::SetBack { seconds: [1, 20, 40, 100, 3600, 90_000][usize::from(page)] },
        _ => Op::Restart,
    }
}
