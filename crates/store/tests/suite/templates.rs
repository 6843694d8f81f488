//! Launch templates: one number for each content, what is in force, and what a change of it outdates; and whether there is room.

use std::collections::BTreeSet;

use skylift_model::instance_type::Capacity;
use skylift_store::{Changed, Changes, Fleet, Once, TemplateRow};

use crate::bench::{Bench, app};
use crate::scaling::run_something;

const MIB: u64 = 1 << 20;

async fn in_force(bench: &mut Bench) -> TemplateRow {
    let now = bench.tick();
    bench.store.template(app(), now).await.unwrap().unwrap()
}

async fn choose(bench: &mut Bench, chosen: Option<&str>) -> Result<(), String> {
    let now = bench.tick();
    let chosen = chosen.map(str::to_owned);
    let done = bench.store.choose_type(app(), chosen, Once::default(), now).await;
    done.map(drop).map_err(|error| error.to_string())
}

async fn fleet(bench: &Bench) -> Fleet {
    bench.store.fleet(app(), bench.now).await.unwrap()
}

/// Starts so many instances of what is live on the node `n`.
async fn start(bench: &mut Bench, count: usize) -> Changed {
    let (seen, now) = (fleet(bench).await, bench.tick());
    let start = vec![(seen.live.clone().unwrap(), "n".to_owned()); count];
    bench.store.change_instances(seen, Changes { start, ..Changes::default() }, now).await.unwrap().unwrap()
}

pub(crate) async fn each_content_has_one_number_and_what_comes_back_has_its_old_one(mut bench: Bench) {
    let now = bench.tick();
    assert_eq!(bench.store.template(app(), now).await.unwrap(), None, "nothing runs");
    assert!(choose(&mut bench, Some("large")).await.is_ok(), "before the first deployment");
    choose(&mut bench, None).await.unwrap();
    run_something(&mut bench).await;
    let first = in_force(&mut bench).await;
    assert_eq!((first.version, in_force(&mut bench).await), (1, first.clone()), "asking changes nothing");
    choose(&mut bench, Some("large")).await.unwrap();
    let second = in_force(&mut bench).await;
    assert_eq!((second.version, second.template.instance.name.as_str()), (2, "large"));
    assert!(second.template.instance.memory_bytes > first.template.instance.memory_bytes);
    choose(&mut bench, None).await.unwrap();
    assert_eq!(
        in_force(&mut bench).await,
        first,
        "the same content, the same number, since when it was first in force"
    );
    let refused = choose(&mut bench, Some("colossal")).await.unwrap_err();
    assert!(refused.contains("colossal"), "{refused}");
    assert_eq!(in_force(&mut bench).await, first);
}

pub(crate) async fn instances_from_another_template_are_to_be_replaced(mut bench: Bench) {
    run_something(&mut bench).await;
    start(&mut bench, 2).await;
    let before = fleet(&bench).await;
    assert_eq!(before.outdated, BTreeSet::new());
    choose(&mut bench, Some("large")).await.unwrap();
    let all: BTreeSet<_> = before.instances.iter().map(|row| row.id.clone()).collect();
    assert_eq!(fleet(&bench).await.outdated, all);
    start(&mut bench, 1).await;
    assert_eq!(fleet(&bench).await.outdated, all, "the new one is from the new template");
    choose(&mut bench, None).await.unwrap();
    let outdated = fleet(&bench).await.outdated;
    assert!(outdated.len() == 1 && outdated.is_disjoint(&all), "what comes back outdates what came between");
}

pub(crate) async fn what_has_no_room_is_not_started_and_says_what_is_missing(mut bench: Bench) {
    run_something(&mut bench).await;
    let takes = in_force(&mut bench).await.template.instance.takes();
    assert_eq!(
        bench.store.unstarted(app(), bench.now).await.unwrap(),
        None,
        "a node that never said what it has takes everything"
    );
    let two = Capacity { memory_bytes: 2 * takes.memory_bytes + MIB, cpu_millicores: 10 * takes.cpu_millicores };
    let now = bench.tick();
    bench.store.set_node("n".to_owned(), two, now).await.unwrap();
    assert_eq!(bench.store.unstarted(app(), bench.now).await.unwrap(), None);
    let Changed { is_any, unstarted, .. } = start(&mut bench, 3).await;
    let missing = unstarted.unwrap();
    assert!(is_any && !missing.is_passing && !missing.reason.is_empty(), "{missing:?}");
    let seen = fleet(&bench).await;
    assert_eq!(seen.instances.len(), 2, "those that fit");
    assert_eq!(bench.store.unstarted(app(), bench.now).await.unwrap(), Some(missing.clone()));

    let now = bench.tick();
    let stop = vec![seen.instances[0].id.clone()];
    bench.store.change_instances(seen, Changes { stop, ..Changes::default() }, now).await.unwrap().unwrap();
    let leaving = bench.store.unstarted(app(), bench.now).await.unwrap().unwrap();
    assert!(leaving.is_passing, "one of them is on its way out: {leaving:?}");
    // The node has more than it said: the last word counts.
    let now = bench.tick();
    let three = Capacity { memory_bytes: two.memory_bytes + takes.memory_bytes, ..two };
    bench.store.set_node("n".to_owned(), three, now).await.unwrap();
    assert_eq!(bench.store.unstarted(app(), bench.now).await.unwrap(), None);
    assert_eq!(start(&mut bench, 1).await, Changed { is_any: true, ..Changed::default() });
    let now = bench.tick();
    let narrow = Capacity { cpu_millicores: takes.cpu_millicores, ..three };
    bench.store.set_node("n".to_owned(), narrow, now).await.unwrap();
    let of_cpu = bench.store.unstarted(app(), bench.now).await.unwrap().unwrap();
    assert_ne!(of_cpu.reason, missing.reason, "another thing is missing");
}
