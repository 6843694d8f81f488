//! Keys: what is asked for again happens once, and is answered as it was.

use skylift_store::{Answer, Done, NewDeployment, Once, SentBytes, StoreError};

use crate::bench::{Bench, app, archive, key, once};

pub(crate) async fn one_key_makes_one_deployment_however_many_ask_at_once(bench: Bench) {
    let asks = (0..50).map(|_| {
        let (store, now) = (bench.store.clone(), bench.now);
        tokio::spawn(async move { store.create_deployment(archive(), once("k", b"same"), now).await.unwrap() })
    });
    let (mut made, mut answers) = (0, Vec::new());
    for ask in asks.collect::<Vec<_>>() {
        match ask.await.unwrap() {
            Done::Now(_, answer) => {
                made += 1;
                answers.push(answer);
            }
            Done::Before(answer) => answers.push(answer),
        }
    }
    answers.dedup();
    assert_eq!((made, answers.len()), (1, 1));
    let other = bench.store.create_deployment(archive(), once("k", b"other"), bench.now).await;
    assert!(matches!(other, Err(StoreError::IdempotencyMismatch)));
    assert_eq!(bench.store.deployments(Some(app()), 10).await.unwrap().len(), 1);
    // Without keys, each is one of its own.
    bench.store.create_deployment(archive(), Once::default(), bench.now).await.unwrap();
    assert_eq!(bench.store.deployments(Some(app()), 10).await.unwrap().len(), 2);
}

pub(crate) async fn a_change_that_fails_leaves_its_key_unused(bench: Bench) {
    let upload = SentBytes::Upload("u-000000000zzzzzzz".parse().unwrap());
    let refused = NewDeployment { bytes: upload, ..archive() };
    assert!(bench.store.create_deployment(refused, once("k", b"same"), bench.now).await.is_err());
    let (token, key) = (key("k", b"").token, "k".to_owned());
    assert_eq!(bench.store.answered(token, key).await.unwrap(), None);
    let done = bench.store.create_deployment(archive(), once("k", b"same"), bench.now).await.unwrap();
    assert!(done.made().is_some());
}

pub(crate) async fn an_answer_is_there_after_reopening_and_stays_the_first(bench: Bench) {
    let Done::Now(_, answer) = bench.store.create_deployment(archive(), once("k", b"same"), bench.now).await.unwrap()
    else {
        panic!("nothing used the key before");
    };
    let other = Answer { status: 404, body: b"{}".to_vec() };
    assert_eq!(bench.store.remember(key("k", b"same"), other.clone(), bench.now).await.unwrap(), answer);
    let mismatch = bench.store.remember(key("k", b"another"), other.clone(), bench.now).await;
    assert!(matches!(mismatch, Err(StoreError::IdempotencyMismatch)));
    bench.store.remember(key("unused", b"same"), other.clone(), bench.now).await.unwrap();
    let reopened = bench.home.open().await;
    let found = async |name: &str| {
        let (_, answer) = reopened.answered(key(name, b"").token, name.to_owned()).await.unwrap().unwrap();
        answer
    };
    assert_eq!((found("k").await, found("unused").await), (answer, other));
}
