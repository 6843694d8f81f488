//! Random histories against a model that knows only lists.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use skylift_balance::{Announced, Ask, InFlight, Limits, NoTarget, Outcome, Probe, Settings, State, TargetId};

use super::scene::{OK, Scene, announced, id};

const TARGETS: usize = 6;
const HARD: u32 = 3;

#[derive(Clone, Debug)]
enum Op {
    /// The announcement of each target; `None` leaves it out.
    Update(Vec<Option<Announced>>),
    Probe(usize, bool),
    Pick(Option<usize>, Vec<usize>, u64),
    End(usize, Option<Outcome>),
    Wait(u64),
}

/// What is known of a target without the balancer.
#[derive(Clone, Debug)]
struct Known {
    announced: Announced,
    was_healthy: bool,
    held: u32,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let stage = prop_oneof![
        4 => Just(Some(Announced::Serving)),
        1 => Just(Some(Announced::Starting)),
        1 => Just(Some(Announced::Draining)),
        1 => Just(None)
    ];
    let outcome = prop_oneof![
        Just(None),
        Just(Some(OK)),
        Just(Some(Outcome::Refused)),
        Just(Some(Outcome::Reset)),
        Just(Some(Outcome::ClientLeft))
    ];
    let op = prop_oneof![
        1 => prop::collection::vec(stage, TARGETS).prop_map(Op::Update),
        3 => (0..TARGETS, any::<bool>()).prop_map(|(number, passed)| Op::Probe(number, passed)),
        8 => (prop::option::of(0..TARGETS), prop::collection::vec(0..TARGETS, 0..3), any::<u64>())
            .prop_map(|(sticky, tried, random)| Op::Pick(sticky, tried, random)),
        5 => (any::<usize>(), outcome).prop_map(|(place, outcome)| Op::End(place, outcome)),
        1 => (0..40_u64).prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn whatever_happens_picks_are_allowed_counts_are_right_and_somebody_answers(ops in ops()) {
        let settings = Settings { limits: Limits { soft: None, hard: HARD }, ..Settings::default() };
        let mut scene = Scene::with(settings, Vec::new());
        let mut known: BTreeMap<TargetId, Known> = BTreeMap::new();
        let mut held: Vec<InFlight> = Vec::new();
        for op in ops {
            match op {
                Op::Update(stages) => update(&scene, &mut known, &stages),
                Op::Probe(number, passed) => {
                    let probe = if passed { Probe::Passed } else { Probe::Failed };
                    let _ = scene.group.probed(&id(number), probe, scene.now);
                    if let Some(one) = known.get_mut(&id(number)) { one.was_healthy |= passed }
                }
                Op::Pick(sticky, tried, random) => {
                    let (sticky, tried) = (sticky.map(id), tried.into_iter().map(id).collect::<Vec<_>>());
                    let before = scene.group.status(scene.now);
                    let fails_open = scene.group.totals(scene.now).fails_open;
                    let picked = scene.group.pick(&Ask { sticky: sticky.as_ref(), tried: &tried }, scene.now, random);
                    let could = |one: &&skylift_balance::TargetStatus| {
                        let used = one.state == State::Healthy
                            || fails_open && matches!(one.state, State::Unhealthy | State::Ejected);
                        used && !tried.contains(&one.target.id)
                    };
                    let free = |one: &&skylift_balance::TargetStatus| could(one) && one.in_flight < HARD;
                    match picked {
                        Ok(one) => {
                            prop_assert!(before.iter().filter(free).any(|status| status.target.id == *one.id()));
                            if let Some(there) = before.iter().filter(free).find(|status| Some(&status.target.id) == sticky.as_ref()) {
                                prop_assert_eq!(&there.target.id, one.id());
                            }
                            known.get_mut(one.id()).unwrap().held += 1;
                            held.push(one);
                        }
                        Err(NoTarget::Full) => {
                            prop_assert!(before.iter().any(|one| could(&one)) && !before.iter().any(|one| free(&one)));
                        }
                        Err(NoTarget::NoneReady | NoTarget::AllTried) => prop_assert!(!before.iter().any(|one| could(&one))),
                    }
                }
                Op::End(place, outcome) if !held.is_empty() => {
                    let mut ended = held.swap_remove(place % held.len());
                    if let Some(outcome) = outcome { let _ = ended.record(outcome, scene.now); }
                    if let Some(one) = known.get_mut(ended.id()) { one.held = one.held.saturating_sub(1) }
                }
                Op::End(..) => {}
                Op::Wait(seconds) => {
                    scene.wait(Duration::from_secs(seconds));
                    // Ejections end with the first pick after their time.
                    drop(scene.group.pick(&Ask::default(), scene.now, 0));
                }
            }
            check(&scene, &known)?;
        }
        drop(held);
        prop_assert!(scene.group.status(scene.now).iter().all(|one| one.in_flight == 0));
    }
}

fn update(scene: &Scene, known: &mut BTreeMap<TargetId, Known>, stages: &[Option<Announced>]) {
    let listed = |(number, stage): (usize, &Option<Announced>)| Some((number, (*stage)?));
    let listed: Vec<_> = stages.iter().enumerate().filter_map(listed).collect();
    let closed =
        scene.group.update(listed.iter().map(|(number, stage)| announced(*number, *stage)).collect(), None, scene.now);
    let before = std::mem::take(known);
    for (number, stage) in listed {
        let old = before.get(&id(number));
        // One that is first heard of as it drains must have served before.
        let was_healthy = match stage {
            Announced::Serving | Announced::Unhealthy => true,
            Announced::Draining => old.is_none_or(|old| old.was_healthy),
            Announced::Starting => old.is_some_and(|old| old.was_healthy),
        };
        known.insert(id(number), Known { announced: stage, was_healthy, held: old.map_or(0, |old| old.held) });
    }
    let expected = before.iter().filter(|(id, old)| match known.get(*id) {
        None => true,
        Some(new) => new.announced == Announced::Draining && old.announced != Announced::Draining,
    });
    assert_eq!(closed.len(), expected.count());
}

fn check(scene: &Scene, known: &BTreeMap<TargetId, Known>) -> Result<(), TestCaseError> {
    let status = scene.group.status(scene.now);
    prop_assert_eq!(status.len(), known.len());
    let (mut serving, mut ejected) = (0_usize, 0_usize);
    for one in &status {
        let known = &known[&one.target.id];
        prop_assert!(one.in_flight <= HARD);
        prop_assert_eq!(one.state == State::Draining, known.announced == Announced::Draining);
        if one.state != State::Draining {
            prop_assert_eq!(one.state == State::Starting, !known.was_healthy);
            serving += usize::from(known.was_healthy);
        }
        ejected += usize::from(one.state == State::Ejected);
    }
    // Somebody can be asked as soon as anybody was ever healthy.
    prop_assert_eq!(scene.group.ready() > 0, serving > 0);
    // An ejection outlives targets that leave, so the share holds only while nobody does; the last is never out alone.
    prop_assert!(serving == 0 || ejected <= serving);
    Ok(())
}
