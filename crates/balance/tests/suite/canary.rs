//! A share for one version.

use skylift_balance::{Announced, InFlight, Limits, Settings, Share, Split, Target};

use super::scene::{Scene, announced, of_version, target, version};

/// Ten of version 1 and one of version 2.
fn both() -> Vec<Target> {
    (0..10).map(target).chain([of_version(10, 2)]).collect()
}

fn canary_of(scene: &mut Scene, picks: usize) -> usize {
    (0..picks).filter(|_| scene.pick().deployment() == &version(2)).count()
}

#[test]
fn the_share_is_exact_whatever_the_number_of_targets() {
    for percent in [0, 1, 5, 10, 25, 50, 99, 100] {
        let mut scene = Scene::of(0);
        scene.split(both(), Split { canary: version(2), share: Share::percent(percent) });
        assert_eq!(canary_of(&mut scene, 10_000), usize::from(percent) * 100, "{percent} %");
    }
}

#[test]
fn without_a_split_every_target_counts_alike() {
    let mut scene = Scene::of(0);
    scene.group.update(both(), None, scene.now);
    let canary = canary_of(&mut scene, 11_000);
    assert!((800..1200).contains(&canary), "{canary} of 1000");
}

#[test]
fn a_version_that_cannot_answer_leaves_its_share_to_the_other() {
    let split = Split { canary: version(2), share: Share::percent(50) };
    let starting = Target { deployment: version(2), ..announced(10, Announced::Starting) };
    let mut scene = Scene::of(0);
    scene.split(vec![target(0), starting], split.clone());
    assert_eq!(canary_of(&mut scene, 100), 0, "the canary is not ready");
    scene.split(vec![announced(0, Announced::Draining), of_version(11, 2)], split);
    assert_eq!(canary_of(&mut scene, 100), 100, "the old version is gone");
}

#[test]
fn a_full_canary_leaves_the_rest_to_the_other() {
    let limits = Limits { soft: None, hard: 2 };
    let mut scene = Scene::with(Settings { limits, ..Settings::default() }, Vec::new());
    scene.split(both(), Split { canary: version(2), share: Share::percent(50) });
    let held: Vec<InFlight> = (0..22).map(|_| scene.pick()).collect();
    assert_eq!(held.iter().filter(|one| one.deployment() == &version(2)).count(), 2);
}
