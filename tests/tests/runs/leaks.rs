//! What is left of runs: nothing, however many there were and whatever they did.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use skylift_tests::random::rounds;
use skylift_tests::{Platform, wait};

use crate::run;

/// What the platform may have more of after thousands of runs than before: what it allocated for as many at once, and connections to its rows;
/// and the entrances to groups that it keeps.
const DESCRIPTORS_MORE: usize = 16 + 4 * GROUPS_KEPT;
const MEMORY_MORE: u64 = 24 << 20;

/// How long the end of what ran last may take: less than a test waits in all, so that it is told what is left.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// What there is, in numbers: those that wait for the next run are others afterwards, and as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    /// Below the platform's own.
    processes: usize,
    mounts: usize,
    groups: usize,
    temporary: usize,
}

impl Count {
    /// Whether there is no more. Less there may be: how many places wait is the tuner's to say, which learns meanwhile how much they take.
    fn is_at_most(&self, before: &Self) -> bool {
        self.processes <= before.processes
            && self.mounts <= before.mounts
            && self.groups <= before.groups
            && self.temporary <= before.temporary
    }
}

fn count(platform: &Platform) -> Count {
    let census = platform.census();
    let (mounts, temporary) = (census.mounts.len(), census.temporary.len());
    let groups = of_the_living(&census.groups);
    // Those that wait for another sandbox to come, of four controllers each (`cgroup/spares.rs`).
    let kept = census.groups.len() - groups;
    assert!(kept <= 4 * GROUPS_KEPT, "{kept} groups of nobody");
    Count { processes: descendants(platform.pid()), mounts, groups, temporary }
}

/// How many sandboxes' groups a nursery keeps.
const GROUPS_KEPT: usize = 32;

/// Of sandboxes that live: where each controller has groups of its own, every one of them has one of memory.
fn of_the_living(groups: &BTreeSet<PathBuf>) -> usize {
    let memory = Path::new("/sys/fs/cgroup/memory");
    let names: BTreeSet<_> =
        groups.iter().filter(|group| group.starts_with(memory)).map(|group| group.file_name()).collect();
    groups.iter().filter(|group| !memory.is_dir() || names.contains(&group.file_name())).count()
}

fn descendants(of: u32) -> usize {
    let stat = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in brackets: the state, then the parent.
    let parent = |pid: &u32| -> Option<u32> { stat(pid).rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok() };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = all.filter_map(|pid: u32| Some((pid, parent(&pid)?))).collect();
    let (mut known, mut at) = (vec![of], 0);
    while let Some(one) = known.get(at).copied() {
        known.extend(parents.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        at += 1;
    }
    known.len() - 1
}

/// Descriptors and memory of the platform's own process.
fn held(platform: &Platform) -> (usize, u64) {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", platform.pid())).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{}/status", platform.pid())).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    (descriptors, rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10)
}

/// Waits until it stays as it is.
async fn settled(platform: &Platform) -> Count {
    let (mut before, mut seen) = (count(platform), 0);
    wait::until("those that wait", async || {
        let now = count(platform);
        seen = if now == before { seen + 1 } else { 0 };
        before = now;
        (seen == 20).then_some(())
    })
    .await;
    before
}

fn kinds() -> Vec<(Value, &'static str)> {
    let left_behind = "import os, subprocess, time\nsubprocess.Popen(['sleep', '100'], start_new_session=True)\nif os.fork(): os._exit(0)\nos.setsid()\ntime.sleep(100)";
    let ignores = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\ntime.sleep(100)";
    let python = |source: &str, limits: Value| json!({ "language": "python", "source": source, "limits": limits });
    vec![
        (python("print(1)", json!({})), "ok"),
        (python(left_behind, json!({})), "ok"),
        (python("import os\nwhile True: os.fork()", json!({ "pids": 10, "wall_ms": 500 })), "exit_nonzero"),
        (python(ignores, json!({ "wall_ms": 300 })), "time_limit"),
        (python("import os, signal\nos.kill(0, signal.SIGSTOP)", json!({ "wall_ms": 300 })), "time_limit"),
        (python("x = bytearray(1 << 30)", json!({})), "memory_limit"),
        (python("open('/tmp/x', 'wb').write(bytes(40 << 20)); print(open('/tmp/x', 'rb').read(1))", json!({})), "ok"),
        (
            json!({ "language": "bash", "source": "cat > /box/x; exit 3", "stdin": "text", "outputs": ["*"] }),
            "exit_nonzero",
        ),
        (json!({ "language": "node", "source": "process.exit(0)" }), "ok"),
        (json!({ "language": "c", "source": "int main(void) { return 0; }" }), "ok"),
    ]
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn nothing_is_left_of_runs_whatever_they_do() {
    // As many wait however many runs there were.
    let platform = Platform::configured("[runs]\npool_bytes_max = 1").await;
    let languages = platform.api(skylift_tests::Request::get("/v1/languages")).await.text();
    let is_here = |kind: &(Value, &str)| languages.contains(&format!("\"name\":{}", kind.0["language"]));
    let kinds: Vec<_> = kinds().into_iter().filter(is_here).collect();
    let all = async || {
        for (request, status) in &kinds {
            let answer = run(&platform, request).await.json();
            assert_eq!(answer["status"], *status, "{request}: {answer}");
        }
    };
    all().await;
    let before = settled(&platform).await;
    let (descriptors, memory) = held(&platform);
    let rounds = rounds(1, 250);
    for _ in 0..rounds {
        tokio::join!(all(), all(), all(), all());
    }
    let ends = async || count(&platform).is_at_most(&before).then_some(());
    if tokio::time::timeout(ENDS_WITHIN, wait::until("the end of all that ran", ends)).await.is_err() {
        panic!("{before:?} before, and after it {:?}", count(&platform));
    }
    let after = count(&platform);
    let (descriptors_after, memory_after) = held(&platform);
    assert!(descriptors_after <= descriptors + DESCRIPTORS_MORE, "{descriptors} descriptors, then {descriptors_after}");
    assert!(memory_after <= memory + MEMORY_MORE, "{memory} bytes, then {memory_after}");
    eprintln!(
        "figure: {} runs: {before:?} before, {after:?} after; {descriptors} descriptors, then {descriptors_after}; {} KiB of memory, then {}",
        rounds * 4 * kinds.len() as u64,
        memory >> 10,
        memory_after >> 10
    );
}
