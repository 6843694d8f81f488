//! Sets of packages, built from an index made on the spot: in a sandbox, kept, told, and tried again.
//!
//! This executable is its own `sandbox-init`.

#![expect(clippy::unwrap_used, reason = "clippy knows the functions marked as tests, not those they share")]

#[path = "packages/entry.rs"]
mod entry;
#[path = "packages/index.rs"]
mod index;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use skylift_build::equipment::Equipment;
use skylift_build::packages::{PackageLanguage, PackageSets, PackageSettings};
use skylift_build::settings::{BuildSettings, ClientSettings, EgressSettings};
use skylift_model::wire::PackageSetState;
use tokio::sync::watch;

use index::Index;

fn python(packages: &[&str], from_source: bool) -> PackageSettings {
    let packages = packages.iter().map(|&package| package.to_owned()).collect();
    PackageSettings { language: PackageLanguage::Python, packages, from_source, preload: None }
}

/// Sets that are being built, until this is dropped.
struct Building {
    sets: Arc<PackageSets>,
    _stop: watch::Sender<bool>,
}

/// Starts with what the folder has; `None` for an index that cannot be reached.
fn build(folder: &Path, index: Option<&Index>, sets: &[(&str, PackageSettings)]) -> Building {
    let address = index.map_or("127.0.0.1:1".to_owned(), |index| index.address.clone());
    let client = ClientSettings {
        pip_index_url: Some(format!("http://{address}/simple/")),
        env: BTreeMap::from([("PIP_RETRIES".to_owned(), "0".to_owned())]),
        ..ClientSettings::default()
    };
    let egress = EgressSettings { allow: vec![address], only: None };
    let settings = BuildSettings { client: client.clone(), egress, ..BuildSettings::default() };
    let equipment = Arc::new(Equipment::new(client, folder.join("toolchains")));
    let sets = sets.iter().map(|(name, set)| ((*name).to_owned(), set.clone())).collect();
    let sets = Arc::new(PackageSets::new(&sets, folder.join("packages"), (settings, 0), equipment));
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(sets.clone().run(stopped));
    Building { sets, _stop: stop }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_built_once_kept_and_told_with_what_is_in_it() {
    let (folder, index) = (tempfile::tempdir().unwrap(), Index::start());
    let sets = [("own", python(&["said==1.0"], false)), ("same", python(&["said"], false))];
    let building = build(folder.path(), Some(&index), &sets);
    let built = building.sets.find("python", "own").await.unwrap();
    let told: Vec<_> = built.packages.iter().map(|one| (one.name.as_str(), one.version.as_str())).collect();
    assert_eq!(told, [("said", "1.0")]);
    assert!(built.packages[0].hash.as_deref().is_some_and(|hash| hash.starts_with("sha256:")), "{built:?}");
    assert_eq!(fs::read_to_string(built.folder.join("said.py")).unwrap(), "VALUE = 42\n");
    let same = building.sets.find("python", "same").await.unwrap();
    assert_eq!(same.folder, built.folder, "what comes to the same is the same");
    let wrong = building.sets.find("node", "own").await.unwrap_err();
    assert_eq!(wrong, "there is no set of packages `own` for node here");
    drop((building, index));

    // Nobody is asked for it again, and what is asked for no more goes.
    let again = build(folder.path(), None, &sets[..1]);
    assert_eq!(again.sets.find("python", "own").await.unwrap(), built);
    assert_eq!(again.sets.told("python")[0].state, PackageSetState::Ready);
    assert!(again.sets.told("node").is_empty());
    drop(again);
    let other = build(folder.path(), None, &[("other", python(&["absent"], false))]);
    other.sets.find("python", "other").await.unwrap_err();
    assert!(!built.folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn why_one_cannot_be_built_is_told_and_does_not_keep_others() {
    let (folder, index) = (tempfile::tempdir().unwrap(), Index::start());
    let sets = [("a", python(&["absent"], false)), ("b", python(&["said"], false))];
    let building = build(folder.path(), Some(&index), &sets);
    let why = building.sets.find("python", "a").await.unwrap_err();
    assert!(why.contains("ended with code 1") && why.contains("No matching distribution found for absent"), "{why}");
    assert!(why.ends_with("log of the platform)") && !why.contains("Looking in"), "{why}");
    building.sets.find("python", "b").await.unwrap();
    let told = building.sets.told("python");
    assert_eq!((told[0].state, told[1].state), (PackageSetState::Failed, PackageSetState::Ready));
    assert!(told[0].error.as_deref().is_some_and(|error| why.ends_with(error)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_package_brings_for_being_built_is_run_only_where_that_is_said_and_then_in_the_sandbox() {
    let (folder, index) = (tempfile::tempdir().unwrap(), Index::start());
    let secret = folder.path().join("secret");
    fs::write(&secret, "ours").unwrap();
    let refused = build(folder.path(), Some(&index), &[("own", python(&["brings"], false))]);
    let why = refused.sets.find("python", "own").await.unwrap_err();
    assert!(why.contains("No matching distribution found for brings"), "{why}");
    drop(refused);
    // The control: with it said, the code runs, as another user, with nothing of ours in sight.
    let taken = build(folder.path(), Some(&index), &[("own", python(&["brings"], true))]);
    let built = taken.sets.find("python", "own").await.unwrap();
    let saw = fs::read_to_string(built.folder.join("brings.py")).unwrap();
    let uid = if rustix::process::geteuid().is_root() { "199998" } else { "" };
    assert!(saw.starts_with(&format!("SAW = ({uid}")) && saw.contains("False, False"), "{saw}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "ours");
}
