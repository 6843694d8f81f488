//! From an upload to a deployment that ends.

use skylift_model::{AppName, DeploymentState, Digest};
use skylift_store::{JobKind, NewDeployment, Once, SentBytes, StoreError};

use crate::bench::{Bench, app, archive, failure, manifest};

pub(crate) async fn an_upload_asks_only_for_what_this_app_never_sent(bench: Bench) {
    let other: AppName = "other".parse().unwrap();
    bench.store.create_app(other.clone(), Once::default(), bench.now).await.unwrap();
    let open = async |app: AppName, contents: &'static [&'static str]| {
        let opening =
            bench.store.open_upload(app, Digest::of(b"m"), manifest(contents), vec![], Once::default(), bench.now);
        opening.await.unwrap().made().unwrap()
    };
    let first = open(app(), &["a", "b"]).await;
    assert_eq!(first.missing.len(), 2);
    bench.store.blobs_received(first.id.clone(), first.missing.clone(), Once::default(), bench.now).await.unwrap();
    assert_eq!(open(app(), &["a", "b", "c"]).await.missing, [Digest::of(b"c")]);
    assert_eq!(open(other, &["a"]).await.missing.len(), 1, "what one app sent tells another nothing");
}

pub(crate) async fn a_deployment_of_an_incomplete_or_foreign_upload_is_refused(bench: Bench) {
    let opening =
        bench.store.open_upload(app(), Digest::of(b"m"), manifest(&["a"]), vec![], Once::default(), bench.now);
    let upload = opening.await.unwrap().made().unwrap();
    let new = |app: &str| NewDeployment {
        app: app.parse().unwrap(),
        bytes: SentBytes::Upload(upload.id.clone()),
        ..archive()
    };
    let refused = bench.store.create_deployment(new("shop"), Once::default(), bench.now).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("upload `{}` still waits for 1 blob", upload.id));
    let arrived = vec![Digest::of(b"a")];
    bench.store.blobs_received(upload.id.clone(), arrived, Once::default(), bench.now).await.unwrap();
    bench.store.create_app("other".parse().unwrap(), Once::default(), bench.now).await.unwrap();
    let foreign = bench.store.create_deployment(new("other"), Once::default(), bench.now).await;
    assert!(matches!(foreign, Err(StoreError::NotFound(_))));
    bench.store.create_deployment(new("shop"), Once::default(), bench.now).await.unwrap();
}

pub(crate) async fn a_newer_deploy_supersedes_what_waits_but_not_what_is_being_built(mut bench: Bench) {
    let building = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(lease.clone(), bench.now).await.unwrap();
    let waiting = bench.deploy().await;
    let newest = bench.deploy().await;
    let why = format!("superseded by {newest}, a newer deployment of shop, before its build began");
    assert_eq!(bench.log(&waiting).await, [why]);
    assert_eq!(bench.state(&building).await, DeploymentState::Building);
    assert_eq!(bench.state(&waiting).await, DeploymentState::Superseded);
    assert!(bench.lease(JobKind::Build).await.is_none(), "builds of one app run one after the other");
    bench.store.finish_build(lease, Digest::of(b"x"), bench.now).await.unwrap();
    assert!(bench.lease(JobKind::Build).await.is_none(), "the deploy that waits goes first");
    let deploy = bench.lease(JobKind::Deploy).await.unwrap();
    bench.store.go_live(deploy, bench.now).await.unwrap();
    assert_eq!(bench.build().await, newest);
}

pub(crate) async fn a_failed_build_leaves_what_is_live(mut bench: Bench) {
    let good = bench.deploy_and_go_live().await;
    let bad = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(lease.clone(), bench.now).await.unwrap();
    bench.store.fail_deployment(lease, failure(), bench.now).await.unwrap();
    assert_eq!(bench.live().await, Some(good));
    let row = bench.store.deployment(bad).await.unwrap();
    assert_eq!((row.state, row.failure), (DeploymentState::Failed, Some(failure())));
}
