//! The comparison, over samples and seeded changes of them.

use std::sync::Arc;

use skylift_model::route::RoutedDeployment;
use skylift_model::site::{Site, SiteSettings};
use skylift_model::{Digest, Timestamp};

use super::deployments::parse;
use super::*;
use crate::program::Groups;
use crate::site::ServedSite;

// Before the macro, so that the target finds it by the path it names.
#[path = "../../../../fuzz/fuzz_targets/edge.rs"]
#[expect(unused_attributes, reason = "it has no `main` where it is a program")]
mod target;

/// In the place of libFuzzer's, which only the nightly compiler can link: the target as a function that takes one input.
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:block) => {
        pub(super) fn judge($data: &[u8]) {
            $body
        }
    };
}
pub(crate) use fuzz_target;

/// How many changed requests are tried; `SKYLIFT_SOAK=1` tries more, `SKYLIFT_ROUNDS` says how many at most.
fn count() -> u64 {
    let count = if std::env::var_os("SKYLIFT_SOAK").is_some() { 2_000_000 } else { 3_000 };
    let most = std::env::var("SKYLIFT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    most.map_or(count, |most| count.min(most))
}

/// Where the seeds begin: `SKYLIFT_SEED` times a thousand million.
fn first_seed() -> u64 {
    let seed: u64 = std::env::var("SKYLIFT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    seed.wrapping_mul(1_000_000_000)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn assert_same(compared: &Compared, what: &str, input: &[u8]) {
    assert!(
        compared.agree(),
        "{what}: {:?}\nfast: {}\nstrict: {}",
        String::from_utf8_lossy(input),
        String::from_utf8_lossy(&compared.fast),
        String::from_utf8_lossy(&compared.strict),
    );
}

#[test]
fn both_answer_every_sample_with_the_same_bytes_however_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let pair = Pair::new(folder.path()).await;
        let mut plain = 0;
        for sample in SAMPLES {
            let bytes = spelled(sample);
            for cut in 0..bytes.len() {
                let compared = pair.compare(&[&bytes[..cut], &bytes[cut..]]).await;
                assert_same(&compared, "sample", &bytes);
                plain += usize::from(compared.plain_bytes > 0 && cut == 0);
            }
            let twice = [&bytes[..], &bytes[..]];
            assert_same(&pair.compare(&twice).await, "twice", &bytes);
            assert_same(&pair.compare(&[&twice.concat()]).await, "pipelined", &bytes);
        }
        assert!(plain >= 10 && plain < SAMPLES.len(), "{plain} samples are plain; the others are not");
    });
}

#[test]
fn a_file_of_a_site_with_rules_is_plain_where_only_its_path_decides() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let pair = Pair::new(folder.path()).await;
        let own_name = DeploymentId::new(Timestamp::from_millis(5), 0).to_string();
        let asks = [
            ("ruled", "/about", true),
            ("ruled", "/about.html?x", true),
            ("ruled", "/index.html", true),
            ("ruled", "/mid.bin", true),
            ("ruled", "/", false),
            ("ruled", "/big.bin", false),
            ("ruled", "/docs/", false),
            ("ruled", "/old", false),
            ("ruled", "/ab%6Fut", false),
            ("ruled-spa", "/users/7", false),
            ("flare", "/about", true),
            ("flare", "/docs/", true),
            ("flare", "/docs", false),
            ("flare", "/mid.bin", false),
            ("vercel", "/about", true),
            ("vercel", "/about.html", false),
            ("vercel", "/mid.bin", false),
            ("vercel", "/big.bin", false),
            (own_name.as_str(), "/about", false),
        ];
        // The second time, what the first has made is at hand.
        for (app, path, expected) in asks.into_iter().chain(asks) {
            for fields in ["", "If-None-Match: *\r\n", "Accept-Encoding: br\r\nCookie: guest=1\r\n"] {
                let bytes =
                    format!("GET {path} HTTP/1.1\r\nHost: {app}.localhost\r\nAccept: text/html\r\n{fields}\r\n");
                let compared = pair.compare(&[bytes.as_bytes()]).await;
                assert_same(&compared, "ruled", bytes.as_bytes());
                assert_eq!(compared.plain_bytes > 0, expected, "{bytes}");
            }
        }
        let about = pair.compare(&[b"GET /about HTTP/1.1\r\nHost: ruled.localhost\r\n\r\n"]).await.fast;
        let about = String::from_utf8(about).unwrap();
        for field in ["x-from: later", "cache-control: no-store", "x-frame-options: DENY", "link: </a>; rel=preload"] {
            assert!(about.contains(&format!("\r\n{field}\r\n")), "{field} in {about}");
        }
    });
}

#[test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
fn both_answer_changed_requests_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let pair = Pair::new(folder.path()).await;
        let mut plain = 0;
        for seed in (0..count()).map(|number| first_seed().wrapping_add(number)) {
            let mut random = Random::new(seed);
            let bytes = mutate(&mut random);
            let cut = u16::try_from(random.below(bytes.len() + 1)).unwrap();
            // The same that `fuzz/` runs.
            let compared = pair.compare_fuzzed(&[&cut.to_le_bytes(), &bytes[..]].concat()).await;
            assert_same(&compared, &format!("seed {seed}"), &bytes);
            plain += u64::from(compared.plain_bytes > 0);
        }
        eprintln!("figure: {} changed requests, {plain} of them plain, from seed {}", count(), first_seed());
        assert!(plain > count() / 10 && plain < count() * 9 / 10, "{plain} of {}", count());
    });
}

#[test]
fn the_fuzz_target_takes_what_libfuzzer_would_send() {
    for (number, sample) in (0_u16..).zip(SAMPLES) {
        let seeded = mutate(&mut Random::new(first_seed().wrapping_add(number.into())));
        for bytes in [spelled(sample), seeded] {
            target::judge(&[&(number * 7).to_le_bytes(), &bytes[..]].concat());
        }
    }
    for short in [&b""[..], b"G", b"GE", b"\0\0G"] {
        target::judge(short);
    }
}

#[test]
fn a_difference_of_one_byte_would_be_found() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut pair = Pair::new(folder.path()).await;
        // The fast side serves other settings: one sample in many tells.
        let mut table = table(&Blobs::open(folder.path()).unwrap()).await;
        let docs = Site { settings: SiteSettings { spa: true, ..SiteSettings::default() }, ..Site::default() };
        let id = DeploymentId::new(Timestamp::from_millis(9), 0);
        let deployments = vec![RoutedDeployment::new(id.clone(), Digest::of(b""))];
        let routes = AppRoutes {
            app: parse("docs"),
            generation: 2,
            live: Some(id),
            deployments,
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        };
        table.set(routes, Some(Arc::new(ServedSite::new(docs))), &Arc::default(), &Groups::unheard());
        pair.fast = Arc::new(gateway(true, Blobs::open(folder.path()).unwrap(), table, Limits::default()));
        let compared = pair.compare(&[b"GET / HTTP/1.1\r\nHost: docs.localhost\r\n\r\n"]).await;
        assert!(!compared.agree());
        let unconcerned = pair.compare(&[b"GET / HTTP/1.1\r\nHost: clean.localhost\r\n\r\n"]).await;
        assert!(unconcerned.agree() && !unconcerned.fast.is_empty() && unconcerned.plain_bytes > 0);
    });
}

#[test]
fn a_table_that_takes_routes_which_are_refused_leads_requests_astray() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let pair = Pair::new(folder.path()).await;
        let blobs = Blobs::open(folder.path()).unwrap();
        let good = table(&blobs).await;
        let of = |app: &str| good.apps().find(|routes| routes.app.as_str() == app).unwrap().clone();
        let docs = of("docs");
        let asked =
            b"GET /about HTTP/1.1\r\nHost: docs.localhost\r\n\r\nGET /about HTTP/1.1\r\nHost: clean.localhost\r\n\r\n";
        let right = pair.compare(&[asked]).await.fast;
        assert!(right.starts_with(b"HTTP/1.1 200 "));
        let elsewhere = DeploymentId::new(Timestamp::from_millis(77), 0);
        let not_kept = AppRoutes { live: Some(elsewhere), ..docs.clone() };
        let stolen = AppRoutes { deployments: of("clean").deployments, live: of("clean").live, ..docs.clone() };
        let mut altered = docs.clone();
        altered.deployments[0].artifact = Digest::of(b"other bytes");
        let mut runs = docs;
        runs.deployments[0].runs = true;
        for bad in [not_kept, stolen, altered, runs] {
            let bad = AppRoutes { generation: 2, ..bad };
            assert!(good.check(&bad).is_err(), "{bad:?}");
            let mut taken = good.clone();
            taken.set(bad.clone(), None, &Arc::default(), &Groups::unheard());
            pair.fast.routes.replace(taken);
            let answered = tokio::time::timeout(Duration::from_secs(1), pair.compare(&[asked])).await;
            assert!(answered.map_or(true, |compared| compared.fast != right), "{bad:?}");
            pair.fast.routes.replace(good.clone());
            assert_eq!(pair.compare(&[asked]).await.fast, right);
        }
    });
}
