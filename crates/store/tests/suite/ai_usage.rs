//! What models have done for each key, by day.

use std::time::Duration;

use skylift_model::key::{Grant, Scope};
use skylift_model::wire::AiUsed;
use skylift_model::{Digest, Timestamp, TokenId};
use skylift_store::{AiUsageRow, NewKey, Once, day_of};

use crate::bench::Bench;

pub(crate) async fn key(bench: &mut Bench, name: &str) -> TokenId {
    let grant = Grant::for_scopes(vec![Scope::Ai]);
    let sha256 = Digest::of(name.as_bytes());
    let new = NewKey { name: name.to_owned(), sha256, grant, expires_at: None };
    let now = bench.tick();
    bench.store.add_key(new, Once::default(), now).await.unwrap().made().unwrap().id
}

fn used(requests: u64, prompt_tokens: u64, completion_tokens: u64) -> AiUsed {
    AiUsed { requests, prompt_tokens, completion_tokens }
}

pub(crate) async fn what_models_did_adds_up_for_each_key_and_day(mut bench: Bench) {
    let (first, second) = (key(&mut bench, "first").await, key(&mut bench, "second").await);
    let day = Duration::from_secs(86_400);
    let monday = day_of(Timestamp::from_millis(1_767_225_600_000)).plus(day - Duration::from_millis(1));
    let tuesday = monday.plus(Duration::from_millis(1));
    assert_eq!(day_of(tuesday), tuesday);
    let add = async |all: Vec<(TokenId, Timestamp, AiUsed)>| bench.store.add_ai_usage(all).await.unwrap();
    add(vec![(first.clone(), monday, used(1, 26, 298)), (second.clone(), monday, used(1, 1, 0))]).await;
    add(vec![(first.clone(), monday, used(2, 4, 2)), (first.clone(), tuesday, used(1, 10, 20))]).await;
    let row =
        |token: &TokenId, name: &str, day, used| AiUsageRow { token: token.clone(), name: name.into(), day, used };
    let (on_monday, on_tuesday) = (day_of(monday), day_of(tuesday));
    assert_eq!(
        bench.store.ai_usage(monday).await.unwrap(),
        [
            row(&first, "first", on_tuesday, used(1, 10, 20)),
            row(&first, "first", on_monday, used(3, 30, 300)),
            row(&second, "second", on_monday, used(1, 1, 0)),
        ]
    );
    assert_eq!(bench.store.ai_usage(tuesday).await.unwrap().len(), 1);
    let all = bench.store.ai_used().await.unwrap();
    assert_eq!((all.len(), all[&first], all[&second]), (2, used(4, 40, 320), used(1, 1, 0)));
}
