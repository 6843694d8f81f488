//! Spellings of paths that lead elsewhere, hundreds of them.
//!
//! The oracle: an answer of 200 has the bytes of exactly the file that the path names, and never those of the canary
//! beside the site. The control: a server that joins paths to a folder gives the canary away to the same list.

use std::collections::BTreeSet;

use crate::dsl::{server, site};

const CANARY: &str = "canary-7f3a";

/// Ways to write one step up.
const UPS: &[&str] = &[
    "..",
    ".",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%c0%2e%c0%2e",
    "%e0%80%ae%e0%80%ae",
    "..;",
    "..%00",
    "%00..",
    "..%0a",
    "..%0d%0a",
    "..%20",
    "%20..",
    "...",
    "....",
    "..%5c",
    "%uff0e%uff0e",
    "%ef%bc%8e%ef%bc%8e",
    "..%c0%af",
    "%2e%2e%2f%2e%2e",
    "..\\..",
    ".%00.",
    "%%32%65%%32%65",
    "..%ff",
    "~",
    "%7e",
];
/// Ways to write a slash.
const SLASHES: &[&str] = &["/", "//", "%2f", "%2F", "\\", "%5c", "%252f", "%c0%af", "/./", "/;/", "%ef%bc%8f"];
/// What is after it.
const TARGETS: &[&str] = &["canary.txt", "canary.txt%00.html", "etc/passwd", "", "skylift.toml", ".env", ".git/config"];

fn spellings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for up in UPS {
        for slash in SLASHES {
            for target in TARGETS {
                all.insert(format!("/{up}{slash}{target}"));
                all.insert(format!("/dir/{up}{slash}{up}{slash}{target}"));
                all.insert(format!("/{slash}{up}{slash}{target}"));
            }
        }
    }
    let others = [
        "//etc/passwd",
        "///canary.txt",
        "/canary.txt",
        "/file:///etc/passwd",
        "/dir/../../canary.txt",
        "/C:/canary.txt",
        "/index.html/",
        "/index.html/..",
        "/index.html%00.txt",
        "/Index.html",
        "/_redirects",
        "/_headers",
        "/netlify.toml",
        "/vercel.json",
        "/.env",
        "/.git/HEAD",
        "/dir/.hidden",
        "/%2eenv",
        "/proc/self/environ",
        "/%",
        "/%1",
        "/%gg",
    ];
    all.extend(others.map(String::from));
    all
}

/// What a path names when it is read as RFC 3986 says, once.
fn named(path: &str) -> Option<Vec<u8>> {
    let path = path.strip_prefix('/')?.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let hex = path.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (path[at], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Some(decoded)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_reaches_a_byte_outside_the_manifest() {
    let files = [("index.html", "root page"), ("dir/index.html", "dir page"), ("dir/a.txt", "a text")];
    let hidden = [(".env", CANARY), ("skylift.toml", CANARY), ("_redirects", CANARY), ("dir/.hidden", CANARY)];
    let plain = files.iter().chain(&hidden).fold(site(), |site, (path, bytes)| site.file(path, bytes));
    let server = server().app("plain", plain.clone()).app("spa", plain.spa()).start().await;
    std::fs::write(server.folder.path().join("canary.txt"), CANARY).unwrap();

    let spellings = spellings();
    assert!(spellings.len() > 3000, "{}", spellings.len());
    let mut client = server.client().await;
    let mut refused = 0;
    for path in &spellings {
        for (host, accept) in [("plain.localhost", "*/*"), ("spa.localhost", "text/html")] {
            let answer = client.ask("GET", host, path, &[("accept", accept)]).await;
            assert!(
                !answer.body.windows(CANARY.len()).any(|bytes| bytes == CANARY.as_bytes()),
                "{path} gave the canary"
            );
            match answer.status {
                // A single-page app answers pages that do not exist with its one page.
                200 if host.starts_with("spa") && answer.body == b"root page" => {}
                200 => {
                    let named = named(path).unwrap();
                    let file =
                        files.iter().find(|(_, bytes)| answer.body == bytes.as_bytes()).expect("bytes of a file");
                    let folder = file.0.strip_suffix("index.html").unwrap_or(file.0).trim_end_matches('/');
                    let spelled = String::from_utf8(named).unwrap();
                    assert_eq!(spelled.trim_end_matches('/'), folder, "{path}");
                }
                400 | 404 => refused += 1,
                other => panic!("{path}: {other}"),
            }
        }
    }
    assert!(refused > 4000, "{refused}");
}

#[test]
fn a_server_that_joins_paths_gives_the_canary_away() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("site/dir")).unwrap();
    std::fs::write(folder.path().join("canary.txt"), CANARY).unwrap();
    let careless = |path: &str| {
        let decoded = String::from_utf8(named(path)?).ok()?;
        std::fs::read_to_string(folder.path().join("site").join(decoded.trim_start_matches('/'))).ok()
    };
    let given_away = spellings().iter().filter(|path| careless(path).as_deref() == Some(CANARY)).count();
    assert!(given_away > 20, "{given_away}");
}
