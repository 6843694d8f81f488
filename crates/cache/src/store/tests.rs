use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::*;
use crate::ask::Ask;
use crate::storing::storing;

fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn place(app: &str, generation: u64, host: &str, path: &str) -> Place {
    let release = (format!("d-{app}").into(), generation);
    Place { app: app.into(), release, scheme: "http", host: host.into(), path: path.into() }
}

/// An answer to a request with these fields.
fn answer(body: &str, request: &HeaderMap, fields: &[(&'static str, &str)]) -> Stored {
    let mut headers = map(fields);
    headers.insert("cache-control", HeaderValue::from_static("max-age=60"));
    let ask = Ask::of(&Method::GET, &HeaderMap::new(), false).unwrap();
    let draft = storing(&ask, request, StatusCode::OK, &headers, (0, 0)).unwrap();
    Stored { body: body.to_owned().into(), ..draft }
}

fn plain(body: &str) -> Stored {
    answer(body, &HeaderMap::new(), &[])
}

fn found(store: &mut Store, place: &Place, behind: &str, request: &HeaderMap) -> String {
    match store.find(place, behind, request) {
        Found::Hit(stored) => String::from_utf8(stored.body.to_vec()).unwrap(),
        Found::Other => "other".to_owned(),
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn an_answer_is_found_at_its_place_alone() {
    let mut store = Store::new(1 << 20);
    let here = place("shop", 1, "shop.localhost", "/a?b");
    store.insert(here.clone(), "http://api/a".into(), plain("mine"));
    let none = HeaderMap::new();
    assert_eq!(found(&mut store, &here, "http://api/a", &none), "mine");
    assert_eq!(found(&mut store, &here, "http://other/a", &none), "nothing");
    for other in [
        place("blog", 1, "shop.localhost", "/a?b"),
        place("shop", 2, "shop.localhost", "/a?b"),
        place("shop", 1, "d-shop.localhost", "/a?b"),
        place("shop", 1, "shop.localhost", "/a"),
        Place { scheme: "https", ..here.clone() },
        Place { release: ("d-other".into(), 1), ..here.clone() },
    ] {
        assert_eq!(found(&mut store, &other, "http://api/a", &none), "nothing", "{other:?}");
    }
}

/// What every other cache-poisoning report comes to: the same with nothing but the path to tell answers apart.
#[test]
fn with_nothing_but_the_path_one_app_would_get_what_another_was_answered() {
    let by_path = |place: &Place| Place {
        app: "".into(),
        release: ("".into(), 0),
        scheme: "http",
        host: "".into(),
        path: place.path.clone(),
    };
    let (evil, victim) = (place("evil", 1, "evil.localhost", "/app.js"), place("shop", 1, "shop.localhost", "/app.js"));
    let mut store = Store::new(1 << 20);
    store.insert(by_path(&evil), "".into(), plain("poison"));
    assert_eq!(found(&mut store, &by_path(&victim), "", &HeaderMap::new()), "poison");
    let mut store = Store::new(1 << 20);
    store.insert(evil, "http://evil/app.js".into(), plain("poison"));
    assert_eq!(found(&mut store, &victim, "http://api/app.js", &HeaderMap::new()), "nothing");
}

#[test]
fn several_answers_to_one_address_are_told_apart_by_what_they_name() {
    let mut store = Store::new(1 << 20);
    let here = place("shop", 1, "shop.localhost", "/");
    let (dutch, english) = (map(&[("accept-language", "nl")]), map(&[("accept-language", "en")]));
    store.insert(here.clone(), "b".into(), answer("hoi", &dutch, &[("vary", "accept-language")]));
    assert_eq!(found(&mut store, &here, "b", &english), "other");
    store.insert(here.clone(), "b".into(), answer("hi", &english, &[("vary", "accept-language")]));
    assert_eq!(found(&mut store, &here, "b", &dutch), "hoi");
    assert_eq!(found(&mut store, &here, "b", &english), "hi");
    store.insert(here.clone(), "b".into(), answer("hallo", &dutch, &[("vary", "accept-language")]));
    assert_eq!(found(&mut store, &here, "b", &dutch), "hallo");
    assert_eq!(store.totals().answers, 2);
    for number in 0..100 {
        let request = map(&[("accept-language", &format!("x-{number}"))]);
        store.insert(here.clone(), "b".into(), answer("x", &request, &[("vary", "accept-language")]));
    }
    assert_eq!(store.totals().answers, VARIANTS_MAX as u64, "a visitor cannot make more");
}

#[test]
fn what_was_used_longest_ago_makes_room_and_what_is_too_large_is_not_kept() {
    let mut store = Store::new(40_000);
    let at = |number: usize| place("shop", 1, "h", &format!("/{number}"));
    let body = "x".repeat(5_000);
    for number in 0..6 {
        store.insert(at(number), "b".into(), plain(&body));
    }
    found(&mut store, &at(0), "b", &HeaderMap::new());
    store.insert(at(6), "b".into(), plain(&body));
    assert_eq!(found(&mut store, &at(0), "b", &HeaderMap::new()), body, "used lately");
    assert_eq!(found(&mut store, &at(1), "b", &HeaderMap::new()), "nothing");
    assert!(store.totals().bytes <= 40_000);
    store.insert(at(7), "b".into(), plain(&"x".repeat(10_001)));
    assert_eq!(found(&mut store, &at(7), "b", &HeaderMap::new()), "nothing");
}

/// What an app that keeps as much as it can leaves of another one's few answers, by who makes room for it.
fn left_of_a_neighbour(noisy: &str) -> usize {
    let mut store = Store::new(100_000);
    let body = "x".repeat(5_000);
    for number in 0..4 {
        store.insert(place("shop", 1, "h", &format!("/{number}")), "b".into(), plain(&body));
    }
    for number in 0..1_000 {
        store.insert(place(noisy, 1, "evil", &format!("/{number}")), "b".into(), plain(&body));
        assert!(store.totals().bytes <= 100_000);
    }
    assert!(store.totals().bytes > 90_000, "nothing is set aside for those who are not there");
    let kept = |number: &usize| store.slots.contains_key(&place("shop", 1, "h", &format!("/{number}")));
    (0..4).filter(kept).count()
}

#[test]
fn an_app_that_keeps_as_much_as_it_can_pushes_out_its_own() {
    assert_eq!(left_of_a_neighbour("noisy"), 4);
    assert_eq!(left_of_a_neighbour("shop"), 0, "control: with all of them in one share, what is older goes first");
}

#[test]
fn apps_that_all_want_more_than_there_is_come_to_even_shares() {
    let mut store = Store::new(200_000);
    let body = "x".repeat(1_000);
    let at = |app: &str, number: usize| place(app, 1, "h", &format!("/{number}"));
    (0..1_000).for_each(|number| drop(store.insert(at("first", number), "b".into(), plain(&body))));
    for number in 0..1_000 {
        for app in ["second", "third", "fourth"] {
            store.insert(at(app, number), "b".into(), plain(&body));
        }
    }
    for app in ["first", "second", "third", "fourth"] {
        let bytes: u64 = store.slots.iter().filter(|(place, _)| *place.app == *app).map(|(_, slot)| slot.bytes()).sum();
        assert!((45_000..55_000).contains(&bytes), "{app} holds {bytes}");
    }
}

#[test]
fn purges_mean_an_app_a_path_or_a_tag() {
    let fill = || {
        let mut store = Store::new(1 << 20);
        for (app, path, tag) in [("shop", "/a", "x"), ("shop", "/a?q", "y"), ("shop", "/a/b", "x"), ("blog", "/a", "x")]
        {
            let tags = answer("1", &HeaderMap::new(), &[("cache-tag", &format!("all, {tag}"))]);
            store.insert(place(app, 1, "h", path), "b".into(), tags);
        }
        store
    };
    let path = |text: &str| Purge::Path(text.to_owned());
    for (what, dropped) in [
        (Purge::Everything, 3),
        (path("/a"), 2),
        (path("/a*"), 3),
        (path("/a/*"), 1),
        (path("/b"), 0),
        (Purge::Tag("x".to_owned()), 2),
        (Purge::Tag("all".to_owned()), 3),
        (Purge::Tag("al".to_owned()), 0),
    ] {
        let mut store = fill();
        assert_eq!(store.purge("shop", &what), dropped, "{what:?}");
        assert_eq!(store.totals().answers, 4 - dropped, "{what:?}");
        assert_eq!(store.purges(), 1);
    }
}

/// One step of a random walk.
#[derive(Clone, Debug)]
enum Op {
    Insert(u8, u8, u16),
    Find(u8, u8),
    Remove(u8),
    Purge(u8),
    Clear,
}

fn ops() -> impl proptest::strategy::Strategy<Value = Vec<Op>> {
    use proptest::prelude::*;
    let op = prop_oneof![
        6 => (0..8_u8, 0..3_u8, 0..4_000_u16).prop_map(|(place, variant, size)| Op::Insert(place, variant, size)),
        4 => (0..8_u8, 0..3_u8).prop_map(|(place, variant)| Op::Find(place, variant)),
        1 => (0..8_u8).prop_map(Op::Remove),
        1 => (0..8_u8).prop_map(Op::Purge),
        1 => Just(Op::Clear),
    ];
    proptest::collection::vec(op, 0..80)
}

proptest::proptest! {
    /// Against the simplest store there is: it may have forgotten, but never has anything else.
    #[test]
    fn what_is_found_is_what_was_kept_last_and_the_budget_holds(ops in ops()) {
        let mut store = Store::new(20_000);
        let mut model: HashMap<(u8, u8), String> = HashMap::new();
        // Half of the places are another app's, so that both are pushed out.
        let at = |number: u8| place(if number.is_multiple_of(2) { "shop" } else { "blog" }, 1, "h", &format!("/{number}"));
        let request = |variant: u8| map(&[("x-variant", &variant.to_string())]);
        for (step, op) in ops.into_iter().enumerate() {
            match op {
                Op::Insert(number, variant, size) => {
                    let body = format!("{step:08}{}", "x".repeat(size.into()));
                    store.insert(at(number), "b".into(), answer(&body, &request(variant), &[("vary", "x-variant")]));
                    model.insert((number, variant), body);
                }
                Op::Find(number, variant) => {
                    if let Found::Hit(stored) = store.find(&at(number), "b", &request(variant)) {
                        proptest::prop_assert_eq!(Some(stored.body.as_ref()), model.get(&(number, variant)).map(String::as_bytes));
                    }
                }
                Op::Remove(number) => {
                    store.remove(&at(number));
                    model.retain(|(place, _), _| *place != number);
                }
                Op::Purge(number) => {
                    store.purge(&at(number).app, &Purge::Path(format!("/{number}")));
                    model.retain(|(place, _), _| *place != number);
                }
                Op::Clear => {
                    store.clear();
                    model.clear();
                }
            }
            let counted: u64 = store.slots.values().map(Slot::bytes).sum();
            proptest::prop_assert_eq!((store.slots.len(), counted), store.shares.counted());
            proptest::prop_assert!(counted <= 20_000);
        }
    }
}
