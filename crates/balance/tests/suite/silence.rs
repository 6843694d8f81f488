//! Targets that accept requests and answer nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use skylift_balance::{Ask, Ejection, Group, Hooks, InFlight, Settings, State, Target};

use super::scene::{MILLISECOND, OK, SECOND, Scene, id, target};

/// One request to a certain target, all of which is sent.
fn ask(scene: &mut Scene, number: usize) -> InFlight {
    let mut picked = scene.pick_there(number);
    picked.asked(scene.now);
    picked
}

/// A request to a certain target that is answered after so long.
fn answer(scene: &mut Scene, number: usize, took: Duration) {
    let mut picked = ask(scene, number);
    picked.record(OK, scene.now + took);
}

/// The others answer, each 10 ms, for so long.
fn others_answer(scene: &mut Scene, targets: usize, lasts: Duration) {
    let until = scene.now + lasts;
    while scene.now < until {
        scene.wait(MILLISECOND * 10);
        (1..targets).for_each(|number| answer(scene, number, MILLISECOND));
    }
}

/// Whether the first is picked for a request that is to stay with it.
fn is_picked(scene: &mut Scene) -> bool {
    let first = id(0);
    scene.try_pick(&Ask { sticky: Some(&first), tried: &[] }).unwrap().id() == &first
}

#[test]
fn who_owes_an_answer_for_long_while_others_answer_is_asked_nothing_more() {
    let mut scene = Scene::of(3);
    answer(&mut scene, 0, MILLISECOND);
    let owed = ask(&mut scene, 0);
    others_answer(&mut scene, 3, MILLISECOND * 490);
    assert!(is_picked(&mut scene), "not yet");
    others_answer(&mut scene, 3, MILLISECOND * 20);
    assert!(!is_picked(&mut scene));
    assert_eq!(scene.states(), [State::Ejected, State::Healthy, State::Healthy]);
    assert_eq!(scene.spread_one_by_one(300, 3)[0], 0);
    drop(owed);
    // The control: what is not waited for says nothing, such as a request whose client is still sending it.
    let mut unasked = Scene::of(3);
    answer(&mut unasked, 0, MILLISECOND);
    let _held = unasked.pick_there(0);
    others_answer(&mut unasked, 3, SECOND * 5);
    assert!(is_picked(&mut unasked));
}

#[test]
fn its_first_answer_brings_it_back_and_nothing_is_held_against_it() {
    let mut scene = Scene::of(3);
    answer(&mut scene, 0, MILLISECOND);
    for _ in 0..5 {
        let mut owed = ask(&mut scene, 0);
        // What it needs last time is how long it takes as a rule.
        others_answer(&mut scene, 3, SECOND * 20);
        assert!(!is_picked(&mut scene));
        owed.record(OK, scene.now);
        assert_eq!(scene.states(), [State::Healthy; 3]);
        scene.wait(SECOND * 60);
        answer(&mut scene, 0, MILLISECOND);
    }
    let mut ejected = ask(&mut scene, 0);
    let lasts = ejected.record(skylift_balance::Outcome::Refused, scene.now).unwrap().lasts;
    assert_eq!(lasts, SECOND * 10, "as if it were the first time");
}

#[test]
fn a_slow_request_beside_others_that_it_answers_is_none_and_nor_is_an_app_that_is_slow_as_a_rule() {
    let mut scene = Scene::of(3);
    let _slow = ask(&mut scene, 0);
    for _ in 0..100 {
        others_answer(&mut scene, 3, MILLISECOND * 100);
        answer(&mut scene, 0, MILLISECOND);
        assert!(is_picked(&mut scene));
    }
    assert_eq!(scene.states(), [State::Healthy; 3]);
    let mut slow = Scene::of(3);
    (0..3).for_each(|number| answer(&mut slow, number, SECOND * 2));
    slow.wait(SECOND * 2);
    let _owed = ask(&mut slow, 0);
    others_answer(&mut slow, 3, MILLISECOND * 5900);
    assert!(is_picked(&mut slow), "three times as long as it takes as a rule");
    others_answer(&mut slow, 3, MILLISECOND * 200);
    assert!(!is_picked(&mut slow));
}

#[test]
fn where_nobody_answers_nobody_is_left_alone_nor_is_the_last_one() {
    let mut scene = Scene::of(3);
    let owed: Vec<_> = (0..3).map(|number| ask(&mut scene, number)).collect();
    scene.wait(SECOND * 30);
    (0..3).for_each(|number| drop(scene.pick_there(number)));
    assert_eq!(scene.states(), [State::Healthy; 3], "what all of them wait for is away");
    drop(owed);
    // Two of three are silent: half may be out.
    let _owed: Vec<_> = (0..2).map(|number| ask(&mut scene, number)).collect();
    for _ in 0..100 {
        scene.wait(MILLISECOND * 10);
        answer(&mut scene, 2, MILLISECOND);
        let _ = scene.try_pick(&Ask { sticky: Some(&id(0)), tried: &[] });
        let _ = scene.try_pick(&Ask { sticky: Some(&id(1)), tried: &[] });
    }
    let out = scene.states().into_iter().filter(|state| *state == State::Ejected).count();
    assert_eq!(out, 1);
}

/// Notes whom it is told of.
#[derive(Default)]
struct Told(Mutex<Vec<(String, Duration)>>);

impl Hooks for Told {
    fn nobody(&self) {}

    fn silent(&self, _: &Group, target: &Target, lasts: Duration) {
        self.0.lock().unwrap().push((target.id.to_string(), lasts));
    }
}

#[test]
fn somebody_is_told_and_may_find_that_it_answers_which_is_believed_ever_longer() {
    let told = Arc::new(Told::default());
    let mut scene = Scene::of(3);
    scene.group = Group::telling(Settings::default(), told.clone(), scene.now);
    scene.group.update((0..3).map(target).collect(), None, scene.now);
    answer(&mut scene, 0, MILLISECOND);
    let began = scene.now;
    let _owed = ask(&mut scene, 0);
    let mut at = Vec::new();
    while scene.now < began + SECOND * 20 {
        others_answer(&mut scene, 3, MILLISECOND * 10);
        is_picked(&mut scene);
        if scene.group.heard(&id(0), scene.now) {
            at.push((scene.now - began).as_millis() / 100);
        }
    }
    assert_eq!(at, [5, 10, 20, 40, 80, 160], "tenths of a second");
    assert!(told.0.lock().unwrap().iter().all(|(id, lasts)| id == "i-0" && *lasts == SECOND * 10));
    assert!(!scene.group.heard(&id(1), scene.now), "it was not left alone");
}

#[test]
fn without_an_answer_it_is_tried_again_and_left_alone_for_longer() {
    let mut scene = Scene::of(3);
    answer(&mut scene, 0, MILLISECOND);
    let _owed = ask(&mut scene, 0);
    let mut out = 0;
    for _ in 0..3100 {
        others_answer(&mut scene, 3, MILLISECOND * 10);
        out += usize::from(!is_picked(&mut scene));
    }
    assert!(out > 3000, "no request finds out that it is silent still: {out}");
    assert_eq!(scene.group.totals(scene.now).ejections, 3, "10 s, 20 s and 30 s");
    // The control: without the rule it has its part.
    let ejection = Ejection { silent_after: SECOND * 3600, ..Ejection::default() };
    let mut off = Scene::with(Settings { ejection, ..Settings::default() }, (0..3).map(target).collect());
    answer(&mut off, 0, MILLISECOND);
    let _owed = ask(&mut off, 0);
    others_answer(&mut off, 3, SECOND * 30);
    assert!(is_picked(&mut off));
}
