//! Where Node cannot be forked it is started ahead, once for each run, and behaves as where it is started for the run.

use std::path::Path;

use skylift_model::run::{Ending, File, Job, LIMITS, Warmth};

use crate::host::{Host, job, said};
use crate::node_programs::{BESIDE, MODULES, PROGRAMS};

fn is_here() -> bool {
    Path::new("/usr/bin/node").exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_behave_as_with_node_alone() {
    compare("main.js", PROGRAMS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_behave_as_with_node_alone() {
    compare("main.mjs", MODULES).await;
}

async fn compare(file: &str, programs: &[(&str, &str)]) {
    if !is_here() {
        return;
    }
    let host = Host::new(Vec::new());
    let mut differ = Vec::new();
    for (source, input) in programs {
        let mut job = job("node", file, source);
        job.files.extend(BESIDE.map(|(name, text)| File { path: name.parse().unwrap(), bytes: text.into() }));
        job.args = vec!["one".to_owned(), "--two".to_owned()];
        job.env = vec![("GIVEN".parse().unwrap(), "given".to_owned())];
        job.stdins = vec![input.as_bytes().to_vec()];
        job.outputs = vec!["left".to_owned()];
        let ahead = ends(host.run_from(&job, &[Warmth::Prestarted]).await);
        let alone = ends(host.run_from(&alone(job), &[Warmth::Cold]).await);
        if ahead != alone {
            differ.push(format!("{source}\n  started ahead {ahead:?}\n  alone {alone:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// With other limits than those that wait were started with: it is started for the run.
fn alone(mut job: Job) -> Job {
    job.limits.nofile = LIMITS.usual.nofile + 1;
    job
}

/// How it ended, what it printed, and what it left; without what differs between any two runs.
fn ends(ending: Ending) -> (Option<i32>, Option<i32>, String, String, Vec<Vec<u8>>) {
    let step = &ending.steps[0];
    let (stdout, stderr) = (plain(&step.stdout), plain(&step.stderr));
    (step.exit_code, step.signal, stdout, stderr, ending.files.into_iter().map(|taken| taken.file.bytes).collect())
}

/// A trace of calls ends in how Node came to the program; where a listener of `process` throws, the caret points elsewhere.
fn plain(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let is_plain = |line: &&str| {
        line.trim() != "^"
            && !line.contains("node:internal/main/run_main_module:")
            && !line.contains("processImmediate (node:")
    };
    text.split('\n').filter(is_plain).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_for_one_run_and_nothing_of_how_it_waited_is_seen() {
    if !is_here() {
        return;
    }
    let host = Host::new(Vec::new());
    assert_eq!(host.start_of("node"), None);
    let source = "
const fs = require('fs')
console.log(fs.readdirSync('/box', { withFileTypes: true }).filter(one => !one.isDirectory()).map(one => one.name).join())
console.log(fs.readdirSync('/proc').filter(name => /^[0-9]+$/.test(name)).length, process.argv.slice(1).join(), process.execArgv.length)
console.log(JSON.stringify(fs.readFileSync(0, 'utf8')), Object.keys(process.env).sort().join(), Object.keys(require.cache).join())
fs.writeFileSync('/tmp/mark', 'x'); console.error(fs.readdirSync('/tmp').join(), Math.random())";
    let mut job = job("node", "main.js", source);
    job.stdins = vec![b"read".to_vec()];
    let ran = async || said(&host.run_from(&job, &[Warmth::Prestarted]).await);
    let (first, second) = (ran().await, ran().await);
    let expected = "main.js\n1 /box/main.js 0\n\"read\" HOME,LANG,PATH,TMPDIR /box/main.js\nmark 0.";
    assert!(first.starts_with(expected) && second.starts_with(expected), "{first}\n{second}");
    assert_ne!(first, second, "chance");
    assert_eq!(host.start_of("node"), Some(Warmth::Prestarted));
}
