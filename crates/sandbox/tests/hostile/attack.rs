//! Running a script as the payload, and reading what it says.

use std::fs::File;
use std::io::Read;

use skylift_sandbox::{Defence, Outcome, Output, Sandbox, Spec, spawn};

/// A user of no one else's, so that counting and killing by user touches nothing else on the machine.
pub(crate) const UID: u32 = 61_234;

pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) said: String,
}

pub(crate) fn spec(argv: &[&str]) -> Spec {
    let mut spec = Spec::new(argv.iter().copied());
    (spec.uid, spec.gid) = (UID, UID);
    spec.stdout = Output::Pipe;
    spec.stderr = Output::WithStdout;
    spec.group_prefix = "skylift-test".into();
    spec
}

pub(crate) fn python(script: &str) -> Spec {
    spec(&["/usr/bin/python3", "-c", script])
}

pub(crate) fn without(mut spec: Spec, defences: &[Defence]) -> Spec {
    spec.weaken.extend(defences);
    spec
}

pub(crate) fn start(spec: &Spec) -> Sandbox {
    spawn(spec).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Runs to the end.
pub(crate) fn run(spec: &Spec) -> Ended {
    let mut sandbox = start(spec);
    let mut said = Vec::new();
    File::from(sandbox.stdout.take().unwrap()).read_to_end(&mut said).unwrap();
    let outcome = sandbox.wait().unwrap();
    Ended { outcome, said: String::from_utf8_lossy(&said).trim().to_owned() }
}

/// What a script says with every defence, and without some.
pub(crate) fn with_and_without(script: &str, defences: &[Defence]) -> (String, String) {
    (run(&python(script)).said, run(&without(python(script), defences)).said)
}

/// Most attacks are tried as root, whose sandboxes have the most to lose. Says so where they are not.
#[expect(clippy::print_stderr, reason = "a skipped test is skipped aloud")]
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// Waits until something is so, for at most `seconds`.
pub(crate) fn becomes_true(seconds: u32, mut check: impl FnMut() -> bool) -> bool {
    for _ in 0..seconds * 50 {
        if check() {
            return true;
        }
        pause_ms(20);
    }
    check()
}

/// For states that the kernel does not announce.
pub(crate) fn pause_ms(milliseconds: i64) {
    let time = rustix::event::Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
    let _ = rustix::event::poll(&mut [], Some(&time));
}

/// The processes of this machine that have `marker` among their arguments.
pub(crate) fn processes_with(marker: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if arguments.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes()) {
            found.push(pid);
        }
    }
    found
}
