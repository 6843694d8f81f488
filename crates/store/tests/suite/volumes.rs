//! Volumes and databases: one writer bounds an app, and what is kept goes only when its owner says so.

use skylift_model::Timestamp;
use skylift_model::volume::Writers;
use skylift_model::wire::Scaling;
use skylift_store::{ByHand, Changes, DatabaseRow, Done, NewVolume, Once, StoreError, VolumeKind, VolumeRow, WithData};

use crate::bench::{Bench, app};
use crate::scaling::run_something;

fn new(name: &str, path: &str, writers: Writers) -> NewVolume {
    NewVolume { name: name.parse().unwrap(), kind: VolumeKind::Plain, path: path.parse().unwrap(), writers }
}

async fn make(bench: &mut Bench, new: NewVolume) -> Result<VolumeRow, String> {
    let now = bench.tick();
    match bench.store.create_volume(app(), new, Once::default(), now).await {
        Ok(Done::Now(row, _)) => Ok(row),
        Ok(_) => Err("again".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn max(bench: &mut Bench, max: u32) -> Result<(), String> {
    let now = bench.tick();
    let scaling = Scaling { max, ..Scaling::default() };
    let set = bench.store.set_scaling(app(), scaling, Once::default(), now).await;
    set.map(drop).map_err(|error| error.to_string())
}

pub(crate) async fn one_writer_bounds_an_app_unless_its_owner_said_more(mut bench: Bench) {
    run_something(&mut bench).await;
    let now = bench.tick();
    bench.store.scale_by_hand(app(), ByHand::Wanted(4), Once::default(), now).await.unwrap();
    max(&mut bench, 5).await.unwrap();
    let refused = make(&mut bench, new("main", "/data", Writers::One)).await.unwrap_err();
    assert_eq!(refused, "`main` has one writer: app `shop` cannot have up to 5 instances");
    make(&mut bench, new("shared", "/shared", Writers::Many)).await.unwrap();
    max(&mut bench, 1).await.unwrap();
    make(&mut bench, new("main", "/data", Writers::One)).await.unwrap();
    assert!(max(&mut bench, 2).await.unwrap_err().starts_with("`main` has one writer"));
    let now = bench.tick();
    let refused = bench.store.scale_by_hand(app(), ByHand::Wanted(2), Once::default(), now).await.unwrap_err();
    assert!(refused.to_string().starts_with("`main` has one writer"), "{refused}");
    assert_eq!(
        make(&mut bench, new("main", "/other", Writers::Many)).await.unwrap_err(),
        "app `shop` has a volume or database `main` already"
    );
    assert!(
        make(&mut bench, new("more", "/data/more", Writers::Many)).await.unwrap_err().contains("its volume `main`")
    );
}

pub(crate) async fn where_nobody_said_how_many_one_writer_means_one_and_a_restart(mut bench: Bench) {
    run_something(&mut bench).await;
    let now = bench.tick();
    bench.store.scale_by_hand(app(), ByHand::Wanted(4), Once::default(), now).await.unwrap();
    let fleet = bench.store.fleet(app(), Timestamp::from_millis(0)).await.unwrap();
    assert_eq!((fleet.wanted, fleet.one_writer), (4, None));
    let made = make(&mut bench, new("main", "/data", Writers::One)).await.unwrap();
    let fleet = bench.store.fleet(app(), Timestamp::from_millis(0)).await.unwrap();
    assert_eq!((fleet.wanted, fleet.one_writer.clone()), (1, Some("main".parse().unwrap())));
    assert_eq!(fleet.restarted_at, made.created_at);
    assert_eq!(bench.store.app(app()).await.unwrap().scaling.max, 1);
    let now = bench.tick();
    bench.store.reset_scaling(app(), Once::default(), now).await.unwrap();
    assert_eq!(bench.store.app(app()).await.unwrap().scaling.max, 1, "nor where what was said is forgotten");

    let start = vec![(fleet.live.clone().unwrap(), "n".to_owned())];
    let now = bench.tick();
    bench.store.change_instances(fleet, Changes { start, ..Changes::default() }, now).await.unwrap().unwrap();
    let told = bench.store.instances_on("n".to_owned()).await.unwrap().remove(0);
    assert_eq!(told.volumes, std::slice::from_ref(&made));
    assert_eq!(bench.store.claim_volume(made.id.clone(), "n".to_owned()).await.unwrap().as_deref(), Some("n"));
    assert_eq!(bench.store.claim_volume(made.id.clone(), "m".to_owned()).await.unwrap().as_deref(), Some("n"));
}

pub(crate) async fn a_database_that_was_begun_is_known_until_it_is_noted_or_gone(mut bench: Bench) {
    let began = bench.tick();
    let database = |place: &str| DatabaseRow {
        app: app(),
        name: "main".parse().unwrap(),
        place: place.to_owned(),
        sealed: b"sealed".to_vec(),
        created_at: began,
    };
    for place in ["sky_shop_1", "sky_shop_2"] {
        bench.store.begin_database(place.to_owned(), began).await.unwrap();
    }
    assert_eq!(bench.store.begun_databases(began).await.unwrap(), Vec::<String>::new(), "none before that");
    let later = bench.tick();
    assert_eq!(bench.store.begun_databases(later).await.unwrap(), ["sky_shop_1", "sky_shop_2"]);
    bench.store.note_database(database("sky_shop_1"), Once::default(), later).await.unwrap();
    assert_eq!(bench.store.begun_databases(later).await.unwrap(), ["sky_shop_2"]);
    let taken = bench.store.note_database(database("sky_shop_2"), Once::default(), later).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "the app has one of that name");
    assert_eq!(bench.store.begun_databases(later).await.unwrap(), ["sky_shop_2"], "it is still to be removed");
    bench.store.forget_begun_database("sky_shop_2".to_owned()).await.unwrap();
    let late = bench.store.note_database(database("sky_shop_2"), Once::default(), later).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "somebody removed it meanwhile");
    assert_eq!(bench.store.begun_databases(later).await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn what_an_app_keeps_goes_when_its_owner_says_so_and_not_before(mut bench: Bench) {
    run_something(&mut bench).await;
    let made = make(&mut bench, new("files", "/data", Writers::Many)).await.unwrap();
    let now = bench.tick();
    let database = DatabaseRow {
        app: app(),
        name: "main".parse().unwrap(),
        place: "sky_shop_1".to_owned(),
        sealed: b"sealed".to_vec(),
        created_at: now,
    };
    bench.store.begin_database(database.place.clone(), now).await.unwrap();
    bench.store.note_database(database.clone(), Once::default(), now).await.unwrap();
    assert_eq!(bench.store.databases(app()).await.unwrap(), [database]);
    let refused = bench.store.delete_app(app(), WithData::No, Once::default(), now).await.unwrap_err();
    assert_eq!(refused.to_string(), "app `shop` keeps data: `files`, `main`");

    let (files, kind) = (made.name.clone(), VolumeKind::Sqlite);
    let wrong = bench.store.remove_volume(app(), files.clone(), kind, Once::default(), now).await;
    assert!(matches!(wrong, Err(StoreError::NotFound(_))), "it is no database");
    bench.store.forget_volume(made.id.clone()).await.unwrap();
    assert_eq!(bench.store.volumes(app()).await.unwrap(), std::slice::from_ref(&made), "nobody removed it");
    bench.store.delete_app(app(), WithData::Yes, Once::default(), now).await.unwrap();
    let removed = bench.store.removed_volumes("n".to_owned()).await.unwrap();
    assert_eq!(removed, [VolumeRow { removed_at: Some(now), ..made.clone() }], "its folder is still to go");
    assert_eq!(bench.store.claim_volume(made.id.clone(), "n".to_owned()).await.unwrap(), None);
    bench.store.forget_volume(made.id).await.unwrap();
    assert_eq!(bench.store.removed_volumes("n".to_owned()).await.unwrap(), []);
}
