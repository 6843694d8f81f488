//! The cases of npm's `http-cache-tests` (Mark Nottingham's, behind cache-tests.fyi), against a real deployment: the package's
//! own client asks the edge, which passes everything on to the package's own server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use skylift_tests::{Folder, Platform, skip};
use tokio::io::{AsyncBufReadExt, BufReader};

/// Of the 160 cases that a cache is required to pass, 3 are for browsers and cannot be run. Of the others these are passed.
const REQUIRED_MIN: usize = 150;

/// Required, and not passed, each for its reason.
const NOT_PASSED: [&str; 7] = [
    // Nothing with `Set-Cookie` is kept.
    "headers-store-Set-Cookie",
    "304-etag-update-response-Set-Cookie",
    // The case wants the failed host's own answer, which there is none of: ours is 502.
    "stale-close-must-revalidate",
    "stale-close-proxy-revalidate",
    "stale-close-no-cache",
    "stale-close-s-maxage=2",
    // Its name says that such an answer is stale, its expectation that it is fresh. It is stale.
    "age-parse-prefix",
];

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the score is what is wanted")]
async fn the_cases_of_http_cache_tests_score_as_high_as_they_did() {
    if !skip::unless_packages("http_cache") {
        return;
    }
    let folder = install();
    let mut server = tokio::process::Command::new("node")
        .args(["driver.mjs", "serve", "0"])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("it says where it listens");
    let port = line.trim_end_matches('/').rsplit(':').next().unwrap();

    let platform = Platform::configured(&format!("[edge.proxy]\nallow = ['127.0.0.1:{port}']")).await;
    let app = platform.app("cached").await;
    let rules = format!("/* http://127.0.0.1:{port}/:splat 200\n");
    let site = Folder::new().file("about.html", "about").file("_redirects", &rules);
    app.deploy(&site.file("skylift.toml", "[cache]\nenabled = true\n")).await;

    let base = format!("http://cached.localhost:{}", platform.port());
    let run = tokio::process::Command::new("node").args(["driver.mjs", "run", &base]).current_dir(&folder).output();
    let run = run.await.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let cases: Vec<Value> = serde_json::from_slice(&run.stdout).unwrap();

    let required = |case: &&Value| case["kind"] == "required" && case["suite"] != "surrogate-control";
    let required: Vec<&Value> = cases.iter().filter(required).collect();
    let passed = required.iter().filter(|case| case["result"] == true).count();
    let of = |kind: &str| {
        let all: Vec<&Value> = cases.iter().filter(|case| case["kind"] == kind && case["browser"] == false).collect();
        format!("{} of {} {kind}", all.iter().filter(|case| case["result"] == true).count(), all.len())
    };
    println!("http-cache-tests: {passed} of {} required; {}; {}", required.len(), of("optimal"), of("check"));
    let failed = required.iter().filter(|case| case["result"] != true && case["browser"] == false);
    let unexpected: Vec<String> = failed
        .filter(|case| !NOT_PASSED.contains(&case["id"].as_str().unwrap()))
        .map(|case| format!("{} {}", case["id"], case["result"]))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert_eq!(required.len(), 160);
    assert!(passed >= REQUIRED_MIN, "{passed}");
}

/// Installs the package once, in a folder of its own.
fn install() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_cache");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("http-cache");
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["package.json", "package-lock.json", "driver.mjs"] {
        std::fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(npm.status.success(), "{}", String::from_utf8_lossy(&npm.stderr));
    folder
}
