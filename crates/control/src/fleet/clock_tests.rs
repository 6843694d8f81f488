//! Clocks that somebody sets an hour ahead or back, and instances that are all unhealthy (threats.md 79).

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::in_memory::{NODE, at, deployment, fleet, instance};

const HOUR: i64 = 3600;

fn crashed_at(seconds: &[i64]) -> Fleet {
    let mut fleet = fleet(Some(1), None, 1);
    let crash = |seconds: &i64| skylift_store::Crash {
        deployment: deployment(1),
        at: at(*seconds),
        reason: "exited with code 1".to_owned(),
    };
    fleet.crashes = seconds.iter().map(crash).collect();
    fleet
}

#[test]
fn what_crashed_is_started_again_though_the_clock_was_set_back_since() {
    let now = 10 * HOUR;
    let planned = |crashes: &[i64]| plan(&crashed_at(crashes), Pace::default(), Some(NODE), at(now));
    let next = planned(&[now + HOUR, now + HOUR - 5]);
    assert_eq!((next.changes.start.len(), next.again_at), (1, None), "nobody waits an hour");
    let next = planned(&[now + HOUR, now]);
    assert_eq!((next.changes.start.len(), next.again_at), (0, Some(at(now + 1))), "what crashes then waits as ever");
    // The control: clocks of two machines are a little apart.
    let next = planned(&[now + 2]);
    assert_eq!((next.changes.start.len(), next.again_at), (0, Some(at(now + 3))));
}

#[test]
fn a_restart_whose_time_is_yet_to_come_again_replaces_nobody_twice() {
    let mut fleet = fleet(Some(1), None, 2);
    fleet.restarted_at = at(11 * HOUR);
    let row = |made| InstanceRow { created_at: at(10 * HOUR), ..instance(made, &deployment(1), InstanceState::Ready) };
    fleet.instances = vec![row(1), row(2)];
    let planned = |now: i64| plan(&fleet, Pace::default(), Some(NODE), at(now));
    let early = planned(10 * HOUR + 5);
    assert!(early.changes.is_empty(), "{early:?}");
    assert_eq!(early.again_at, Some(at(11 * HOUR)));
    assert_eq!(
        planned(11 * HOUR).changes.start.len(),
        1,
        "then they are replaced, and those that come are made after it"
    );
}

/// What befalls instances between two looks.
#[derive(Clone, Copy, Debug)]
enum Event {
    Answer,
    Crash,
    AllUnhealthy,
    AllWell,
    Nothing,
}

fn any_event() -> impl Strategy<Value = (Event, i64)> {
    let event = prop::sample::select(vec![
        Event::Answer,
        Event::Answer,
        Event::Crash,
        Event::AllUnhealthy,
        Event::AllWell,
        Event::Nothing,
    ]);
    let step = prop_oneof![6 => 0..20i64, 1 => Just(HOUR), 1 => Just(-HOUR)];
    (event, step)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_clock_does_nobody_who_answers_goes_before_another_has_come(
        wanted in 1..6u32, events in vec(any_event(), 1..60),
    ) {
        let mut fleet = fleet(Some(1), None, wanted);
        fleet.unhealthy_for = Some(Duration::from_secs(30));
        let (mut now, mut made) = (100 * HOUR, 0);
        for (event, step) in events {
            now += step;
            happens(&mut fleet, event, at(now));
            let ready = count(&fleet, InstanceState::Ready);
            let Changes { start, drain, stop, .. } = plan(&fleet, Pace::default(), Some(NODE), at(now)).changes;
            fleet.instances.retain(|row| !drain.contains(&row.id) && !stop.contains(&row.id));
            for _ in start {
                made += 1;
                let row = InstanceRow { created_at: at(now), ..instance(made, &deployment(1), InstanceState::Starting) };
                fleet.instances.push(row);
            }
            let left = count(&fleet, InstanceState::Ready);
            prop_assert!(left >= ready.min(wanted as usize), "{ready} answered, {left} are left");
            prop_assert!(fleet.instances.len() <= wanted as usize + 1, "{} of {wanted}", fleet.instances.len());
        }
    }
}

fn count(fleet: &Fleet, state: InstanceState) -> usize {
    fleet.instances.iter().filter(|row| row.state == state).count()
}

fn happens(fleet: &mut Fleet, event: Event, now: Timestamp) {
    match event {
        Event::Answer => fleet.instances.iter_mut().for_each(|row| row.state = InstanceState::Ready),
        Event::Crash => {
            if let Some(row) = fleet.instances.pop() {
                let reason = "exited with code 1".to_owned();
                fleet.crashes.insert(0, skylift_store::Crash { deployment: row.deployment, at: now, reason });
            }
        }
        Event::AllUnhealthy => fleet.instances.iter_mut().for_each(|row| row.unhealthy_since = Some(now)),
        Event::AllWell => fleet.instances.iter_mut().for_each(|row| row.unhealthy_since = None),
        Event::Nothing => {}
    }
}
