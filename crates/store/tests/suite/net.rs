//! Rules for an app's network: kept, part of its routes, and told to whoever runs its instances.

use skylift_model::Timestamp;
use skylift_model::net::NetRules;
use skylift_store::{Changes, Once, StoreError};

use crate::bench::{Bench, app};
use crate::scaling::run_something;

fn rules(text: serde_json::Value) -> NetRules {
    serde_json::from_value(text).unwrap()
}

pub(crate) async fn rules_that_were_set_are_part_of_routes_and_of_instances(mut bench: Bench) {
    run_something(&mut bench).await;
    let before = bench.store.app_routes(app()).await.unwrap().unwrap();
    assert_eq!(before.net_in, []);
    let set = rules(serde_json::json!({
        "out": [{ "to": "*.example.org", "ports": [443] }, { "deny": true, "to": "*" }],
        "in": [{ "from": "203.0.113.0/24" }]
    }));
    let now = bench.tick();
    bench.store.set_net(app(), set.clone(), Once::default(), now).await.unwrap();
    let after = bench.store.app_routes(app()).await.unwrap().unwrap();
    assert_eq!((after.generation, &after.net_in), (before.generation + 1, &set.inward));
    assert_eq!(bench.store.app(app()).await.unwrap().net, set);

    let fleet = bench.store.fleet(app(), Timestamp::from_millis(0)).await.unwrap();
    let start = vec![(fleet.live.clone().unwrap(), "n".to_owned())];
    bench.store.change_instances(fleet, Changes { start, ..Changes::default() }, now).await.unwrap().unwrap();
    let told = bench.store.instances_on("n".to_owned()).await.unwrap().remove(0);
    assert_eq!(told.net, set);
}

pub(crate) async fn rules_of_an_app_that_is_not_there_are_refused(mut bench: Bench) {
    let now = bench.tick();
    let set = bench.store.set_net("gone".parse().unwrap(), NetRules::default(), Once::default(), now).await;
    assert!(matches!(set, Err(StoreError::NotFound(_))));
}
