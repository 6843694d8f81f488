//! What clean-up may take.

use skylift_model::Digest;
use skylift_store::Once;

use crate::bench::{Bench, app, manifest};

pub(crate) async fn clean_up_keeps_the_newest_that_were_live_and_what_is_live(mut bench: Bench) {
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(bench.deploy_and_go_live().await);
    }
    bench.roll_back(Some(&ids[0])).await.unwrap();
    assert!(bench.store.expired_deployments(3).await.unwrap().is_empty(), "nothing is in Git yet");
    assert!(!bench.store.forget_deployment(ids[1].clone()).await.unwrap());
    for (upload, ..) in bench.store.uncommitted_uploads(app()).await.unwrap() {
        bench.store.set_git_commit(upload, "c0ffee".to_owned(), None).await.unwrap();
    }
    let expired = bench.store.expired_deployments(3).await.unwrap();
    let expired: Vec<_> = expired.into_iter().map(|expired| expired.deployment).collect();
    assert_eq!(expired, [ids[2].clone(), ids[1].clone()], "the longest not live go, the live one never");
    for id in &ids {
        let gone = bench.store.forget_deployment(id.clone()).await.unwrap();
        assert_eq!(gone, *id != ids[0]);
    }
    assert!(bench.roll_back(None).await.is_err());
}

pub(crate) async fn blobs_are_released_only_if_nothing_new_was_named(bench: Bench) {
    let seen = bench.store.references().await.unwrap();
    let opening =
        bench.store.open_upload(app(), Digest::of(b"new"), manifest(&["a"]), vec![], Once::default(), bench.now);
    opening.await.unwrap();
    assert!(bench.store.release_blobs(vec![Digest::of(b"a")], seen).await.unwrap().is_none());
    let seen = bench.store.references().await.unwrap();
    assert!(bench.store.release_blobs(vec![Digest::of(b"a")], seen).await.unwrap().is_some());
}
