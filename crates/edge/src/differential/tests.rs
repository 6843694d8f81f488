//! The comparison, over samples and seeded changes of them.

use super::*;

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
fn a_difference_of_one_byte_would_be_found() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let mut pair = Pair::new(folder.path()).await;
        // The fast side serves other settings: one sample in many tells.
        let mut table = table(&Blobs::open(folder.path()).unwrap()).await;
        let docs = Site { settings: SiteSettings { spa: true, ..SiteSettings::default() }, ..Site::default() };
        let id = DeploymentId::new(Timestamp::from_millis(9), 0);
        let deployments = vec![RoutedDeployment::new(id.clone(), Digest::of(b""))];
        let routes =
            AppRoutes { app: parse("docs"), generation: 2, live: Some(id), deployments, instances: Vec::new() };
        table.set(routes, Some(Arc::new(ServedSite::new(docs))), &Arc::default(), &Groups::unheard());
        pair.fast = Arc::new(gateway(true, Blobs::open(folder.path()).unwrap(), table, Limits::default()));
        let compared = pair.compare(&[b"GET / HTTP/1.1\r\nHost: docs.localhost\r\n\r\n"]).await;
        assert!(!compared.agree());
        let unconcerned = pair.compare(&[b"GET / HTTP/1.1\r\nHost: clean.localhost\r\n\r\n"]).await;
        assert!(unconcerned.agree() && !unconcerned.fast.is_empty() && unconcerned.plain_bytes > 0);
    });
}
