//! The platforms' own packages, in a Node process of their own.

use std::hash::{Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// One Node process that answers questions.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts one; `None` where there is no Node, or no registry to install its packages from.
    pub(crate) fn start() -> Option<Self> {
        static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
        let folder = INSTALLED.get_or_init(install).as_ref()?;
        let mut child = Command::new("node")
            .arg("driver.mjs")
            .current_dir(folder)
            .env("DRIVER_TMP", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take()?));
        Some(Self { child, input, output })
    }

    /// Asks one question.
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        let input = self.input.as_mut().expect("the peer runs");
        writeln!(input, "{question}").expect("the peer takes questions");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the peer answers");
        serde_json::from_str(&answer).expect("the peer answers in JSON")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // With its last question read, it cleans up behind itself and ends.
        drop(self.input.take());
        self.child.wait().ok();
    }
}

/// Installs the packages once for all tests, in a folder of their own that then takes its name.
fn install() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let files = ["package.json", "package-lock.json", "driver.mjs"];
    let texts: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(source.join(file)).unwrap()).collect();
    let mut hasher = std::hash::DefaultHasher::new();
    texts.hash(&mut hasher);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.join(format!("rules-peer-{:016x}", hasher.finish()));
    if folder.exists() {
        return Some(folder);
    }
    let draft = target.join(format!("rules-peer-draft-{}", std::process::id()));
    std::fs::create_dir_all(&draft).ok()?;
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(draft.join(file), text).ok()?;
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&draft)
        .stdin(Stdio::null())
        .output();
    match npm {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skipped(&String::from_utf8_lossy(&output.stderr)),
        Err(error) => return skipped(&error.to_string()),
    }
    // Where another test was faster, its folder is as good.
    if std::fs::rename(&draft, &folder).is_err() {
        std::fs::remove_dir_all(&draft).ok();
    }
    Some(folder)
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn skipped(why: &str) -> Option<PathBuf> {
    eprintln!("SKIPPED: no comparison with the platforms' own packages: npm ci: {}", why.trim());
    None
}
