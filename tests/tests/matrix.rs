//! The connect matrix (threat 110): what an instance may not reach it reaches by no spelling and no way, in an internet of
//! the test's own where somebody listens at every such address.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "matrix/names.rs"]
mod names;
#[path = "matrix/spellings.rs"]
mod spellings;
#[path = "matrix/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};
use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use skylift_tests::http::Request;
use skylift_tests::{Platform, skip, wait};

use spellings::spellings;
use world::{OTHER_PORT, OWN, PUBLIC, PUBLIC_V6, World};

/// By the proxy as tools do, by the proxy as browsers do, and as programs do that know of no proxy.
const WAYS: [&str; 3] = ["connect", "get", "direct"];

/// What nobody may reach, beside the platform's own addresses and those of this machine: what is there and would answer.
const LISTENING: [&str; 18] = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.66.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.8",
    "192.88.99.1",
    "192.168.0.1",
    "198.19.255.1",
    "::1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
];

/// And what nobody listens at.
const UNHEARD: [&str; 11] = [
    "10.255.255.255",
    "169.254.170.2",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "64:ff9b:1::a00:1",
    "2001::f5ff:fffe",
    "fe80::1",
    "ff02::1",
];

fn program() -> Folder {
    Folder::new()
        .file("Procfile", "web: exec /usr/bin/python3 program.py\n")
        .file("program.py", include_str!("matrix/program.py"))
}

type Attempt = (&'static str, String, u16);

/// What became of each.
async fn attempt(app: &App<'_>, attempts: &[Attempt]) -> Vec<String> {
    let answer = app.send(Request::post("/attempts").json(&json!(attempts))).await;
    assert_eq!(answer.status, 200, "{}", answer.brief());
    serde_json::from_value(answer.json()).unwrap()
}

/// What may be reached is: without it, silence would say nothing. Returns how often.
async fn reaches_what_is_public(app: &App<'_>) -> usize {
    let hosts = ["public.test".to_owned(), PUBLIC.to_string(), format!("[{PUBLIC_V6}]")];
    let attempts: Vec<Attempt> = hosts.iter().flat_map(|host| WAYS.map(|way| (way, host.clone(), 80))).collect();
    for (attempt, said) in attempts.iter().zip(attempt(app, &attempts).await) {
        assert!(said.contains("reached"), "{attempt:?}: {said}");
    }
    attempts.len()
}

fn name_that_flips(ip: IpAddr) -> String {
    spellings(ip).into_iter().find(|host| host.contains(".flips.")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_denied_is_reached_by_any_spelling_or_way() {
    let name = "nothing_that_is_denied_is_reached_by_any_spelling_or_way";
    let is_possible = skip::unless_namespaces(name) && skip::unless_one_network(name) && skip::unless_ipv6(name);
    if !is_possible || !skip::unless_program(name, "/usr/bin/python3") {
        return;
    }
    let world = World::new();
    let listens = SocketAddr::from((world.platform.there, 80));
    let mut platform = Platform::prepared("public_url = \"http://localhost\"\n");
    platform.put(world.before(), listens);
    platform.up().await;
    // It listens on a port itself that has a listener of the platform's in others.
    let leaves_alone = "[[net.out]]\ndeny = true\nports = [6379]\n";
    platform.app("neighbour").await.deploy(&program().file("skylift.toml", leaves_alone)).await;
    platform.app("shop").await.deploy(&program()).await;
    let (app, neighbour) = (platform.existing("shop"), platform.existing("neighbour"));

    let machine = [world.platform.here, world.platform.there].map(IpAddr::from);
    let elsewhere = LISTENING.iter().chain(&UNHEARD).map(|ip| ip.parse().unwrap());
    let denied: Vec<IpAddr> = elsewhere.chain(machine).chain(OWN).collect();
    let mut sent = reaches_what_is_public(&app).await;
    // Names that lead to what is public, for now: once looked up, they are known.
    let flips: Vec<Attempt> = denied.iter().map(|ip| ("direct", name_that_flips(*ip), 80)).collect();
    for (flip, said) in flips.iter().zip(attempt(&app, &flips).await) {
        assert!(said.contains("reached"), "{flip:?}: {said}");
    }
    sent += flips.len();
    assert_eq!(world.at_public.read().len(), sent, "the way works");
    world.names.flip();
    let packets = world.packets();

    let mut tried = 0;
    for ip in &denied {
        let hosts = spellings(*ip);
        assert!(hosts.len() >= 30, "{ip}: {}", hosts.len());
        let of = |host: &String| {
            let ways = WAYS.map(|way| (way, host.clone(), 80)).into_iter();
            ways.chain([("datagram", host.clone(), 443)]).collect::<Vec<Attempt>>()
        };
        let attempts: Vec<Attempt> = hosts.iter().flat_map(of).collect();
        for (attempt, said) in attempts.iter().zip(attempt(&app, &attempts).await) {
            assert!(!said.contains("reached") && !said.contains("hello"), "{ip}: {attempt:?}: {said}");
            let is_said = attempt.0 == "datagram" || !said.contains("timeout");
            assert!(is_said, "what is refused is refused at once: {attempt:?}");
        }
        assert_eq!(world.at_denied.read(), [""; 0], "nobody came to {ip} or elsewhere");
        tried += attempts.len();
    }
    assert!(tried >= 4 * 30 * denied.len(), "{tried}");

    others_do_not_hear_of_it(&app, &neighbour).await;
    questions_carry_nothing_out(&app, &world).await;
    assert_eq!(world.at_denied.read(), [""; 0]);
    assert_eq!(world.at_public.read().len(), sent, "and nobody but those who were sent: {:?}", world.at_public.read());
    assert_eq!(world.packets(), packets, "not one packet came where nothing may come");
    assert!(!platform.log().contains("/matrix"), "and the platform heard nothing either");

    what_leads_nowhere_is_counted_until_a_rule_opens_it(&app).await;

    without_a_look_at_addresses_they_all_answer(&world, &mut platform).await;
    assert_ne!(world.packets(), packets, "control: packets are counted");
}

/// The control.
async fn without_a_look_at_addresses_they_all_answer(world: &World, platform: &mut Platform) {
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-addresses");
    platform.restart().await;
    let app = platform.existing("shop");
    let is_up = async || (app.get("/").await.status == 200).then_some(());
    wait::until("the app to run again", is_up).await;
    let listening = LISTENING.iter().map(|ip| ip.parse::<IpAddr>().unwrap());
    for ip in listening.chain(OWN).chain([world.platform.here.into()]) {
        let host = if ip.is_ipv4() { ip.to_string() } else { format!("[{ip}]") };
        let port = if ip.is_unspecified() { 443 } else { 80 };
        let before = world.at_denied.read().len();
        let said = attempt(&app, &WAYS.map(|way| (way, host.clone(), port))).await;
        assert!(world.at_denied.read().len() > before, "control: somebody came to {ip}: {said:?}");
    }
    let own = ("direct", world.platform.there.to_string(), 80);
    attempt(&app, &[own]).await;
    let is_logged = async || platform.log().contains("/matrix").then_some(());
    wait::until("control: the platform's own port was reached", is_logged).await;
}

/// Other sockets than those of the internet, and the instance of another app.
async fn others_do_not_hear_of_it(app: &App<'_>, neighbour: &App<'_>) {
    let said: BTreeMap<String, String> = serde_json::from_value(app.get("/sockets").await.json()).unwrap();
    let refused = ["EPERM", "EACCES", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ENODEV", "ESOCKTNOSUPPORT"];
    for (what, said) in &said {
        assert!(refused.contains(&said.as_str()), "{what}: {said}");
    }
    assert!(said.len() > 12, "{said:?}");

    let mut attempts: Vec<Attempt> =
        ["skylift-matrix-platform", "skylift-matrix-neighbour"].map(|name| ("abstract", name.to_owned(), 0)).into();
    for host in ["127.0.0.1", "0.0.0.0", "[::1]", "localhost", "neighbour.localhost", "neighbour"] {
        attempts.extend(["direct", "connect", "datagram"].map(|way| (way, host.to_owned(), 6379)));
        attempts.extend(["get", "connect", "direct"].map(|way| (way, host.to_owned(), 80)));
    }
    let said = attempt(app, &attempts).await;
    for (attempt, said) in attempts.iter().zip(said) {
        assert!(!said.contains("reached") && !said.contains("hello"), "{attempt:?}: {said}");
    }
    let came: Value = neighbour.get("/came").await.json();
    assert_eq!(came, json!([]), "nobody came to the neighbour");
    // The control: it does count, and it can be reached by itself.
    let own: Vec<Attempt> = vec![
        ("direct", "127.0.0.1".to_owned(), 6379),
        ("abstract", "skylift-matrix-neighbour".to_owned(), 0),
        ("datagram", "127.0.0.1".to_owned(), 6379),
    ];
    attempt(neighbour, &own).await;
    let counts = async || (neighbour.get("/came").await.json().as_array().unwrap().len() == 3).then_some(());
    wait::until("the neighbour's own connections", counts).await;
}

/// Ports that are not among the usual ones, of a host that may be reached.
async fn what_leads_nowhere_is_counted_until_a_rule_opens_it(app: &App<'_>) {
    let counted = async |to: &str| {
        let net = app.platform.client().net(&app.name).await.unwrap();
        net.seen.iter().find(|seen| seen.to == to).map_or(0, |seen| seen.dropped)
    };
    let before = (counted("(TCP, other ports)").await, counted("(UDP)").await);
    assert!(before.1 > 0, "of all that was tried");
    let host = || PUBLIC.to_string();
    let refused: Vec<Attempt> =
        vec![("direct", host(), 25), ("direct", host(), OTHER_PORT), ("datagram", host(), 80), ("connect", host(), 25)];
    let said = attempt(app, &refused).await;
    assert_eq!(said[..2], ["ECONNREFUSED"; 2]);
    assert!(said[3].contains("none of the open ports"), "{said:?}");
    let after = (counted("(TCP, other ports)").await, counted("(UDP)").await);
    assert_eq!(after, (before.0 + 2, before.1 + 1), "each of them once, and what the proxy refuses by its name");

    let usual: Vec<Attempt> = ["direct", "connect"].map(|way| (way, "public.test".to_owned(), 5432)).into();
    assert!(attempt(app, &usual).await.iter().all(|said| said.contains("reached")), "a service's port is open");
    let place = format!("{PUBLIC}:{OTHER_PORT}");
    let shown = app.platform.cli(&["net", app.name.as_str(), "allow", "out", &place]).await.ok().stdout;
    assert!(shown.contains(&format!("allow {PUBLIC} --port {OTHER_PORT}")) && shown.contains("(UDP)"), "{shown}");
    let opens = async || {
        let said = attempt(app, &[("direct", host(), OTHER_PORT)]).await;
        said[0].contains("reached").then_some(())
    };
    wait::until("an instance that has the port", opens).await;
    let elsewhere = attempt(app, &[("direct", "10.0.0.1".to_owned(), OTHER_PORT)]).await;
    assert!(!elsewhere[0].contains("reached"), "{elsewhere:?}");
}

/// A question for a name is answered by the platform, whoever is asked.
async fn questions_carry_nothing_out(app: &App<'_>, world: &World) {
    let asked: Vec<Attempt> =
        ["203.0.113.8", "10.0.0.1", "8.8.8.8", "[2001:db8:1::7]"].map(|host| ("question", host.to_owned(), 53)).into();
    for (asked, said) in asked.iter().zip(attempt(app, &asked).await) {
        assert!(said.starts_with("answered"), "{asked:?}: {said}");
    }
    let names = world.names.asked.lock().unwrap();
    assert!(!names.iter().any(|name| name.contains("secret")), "{names:?}");
    assert!(names.iter().any(|name| name == "public.test"), "it is the name server that is asked");
}
