//! Histories that once went wrong, and those that are told apart by little.

use crate::Bench;
use crate::op::Op;

#[track_caller]
fn goes_well(ops: &[Op]) {
    Bench::new().on_a_file(ops).unwrap();
}

const DEPLOY: Op = Op::Deploy { app: 0, page: 1 };
const NEWEST: u8 = u8::MAX;

/// The older one waited for its next attempt; the newer one was built, went live, and was replaced by the older one.
#[test]
fn an_older_deployment_that_is_tried_again_does_not_replace_a_newer_one() {
    goes_well(&[
        Op::CreateApp { app: 0 },
        DEPLOY,
        Op::LeaseBuild,
        Op::Begin { which: NEWEST },
        Op::GiveBack { which: NEWEST },
        Op::Deploy { app: 0, page: 2 },
        Op::LeaseBuild,
        Op::Begin { which: NEWEST },
        Op::Finish { which: NEWEST },
        Op::LeaseDeploy,
        Op::GoLive { which: NEWEST },
    ]);
}

/// The reaper gave the job up and died before it had ended the deployment, which nobody did any more.
#[test]
fn a_deployment_is_ended_although_whoever_gave_it_up_died() {
    let lost = [Op::LeaseBuild, Op::Begin { which: NEWEST }, Op::Wait { seconds: 100 }];
    let attempt = [&lost[..], &[Op::Reap, Op::Wait { seconds: 100 }]].concat();
    let last = [&lost[..], &[Op::ReapHalf, Op::Restart]].concat();
    goes_well(&[&[Op::CreateApp { app: 0 }, DEPLOY], &attempt[..], &attempt, &last].concat());
}

/// A lease given before the clock was set back by a day lasted a day longer; likewise the wait for the next attempt.
#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    goes_well(&[
        Op::CreateApp { app: 0 },
        DEPLOY,
        Op::LeaseBuild,
        Op::SetBack { seconds: 90_000 },
        Op::Reap,
        Op::Wait { seconds: 150 },
        Op::Reap,
        Op::SetBack { seconds: 90_000 },
        Op::LeaseBuild,
        Op::Begin { which: NEWEST },
        Op::Finish { which: NEWEST },
    ]);
}
