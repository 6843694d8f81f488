//! An executable given for the sandboxes: it is what they become, nobody changes it, and without it they start all the same.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;

use skylift_sandbox::{Exit, InitFile, Mount, Sandbox, Spec};

use crate::attack::{run, spec, start};

/// What the kernel says to who would change what is sealed.
const REFUSED: i32 = rustix::io::Errno::PERM.raw_os_error();

/// This very one, which answers to `sandbox-init`.
fn given() -> InitFile {
    InitFile::new(&fs::read("/proc/self/exe").unwrap()).unwrap()
}

fn with(init: InitFile, mut spec: Spec) -> Spec {
    spec.init = Some(init);
    spec
}

/// As what the watcher was started.
fn started_as(sandbox: &Sandbox) -> String {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", sandbox.pidfd().as_raw_fd())).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().to_owned();
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    line.split('\0').next().unwrap().to_owned()
}

#[test]
fn a_sandbox_becomes_what_is_given_and_else_our_own() {
    let sleeps = || spec(&["/bin/sleep", "100"]);
    assert!(started_as(&start(&with(given(), sleeps()))).starts_with("/proc/self/fd/"));
    assert_eq!(started_as(&start(&sleeps())), "/proc/self/exe");

    // What is mounted as our own executable is this one.
    let mut shows = with(given(), sleeps());
    shows.mounts.push(Mount::SelfExe { to: "/self".into() });
    assert_eq!(started_as(&start(&shows)), "/proc/self/exe");
    shows.argv = vec!["/self".into(), "--list".into()];
    assert!(run(&shows).said.contains("a_sandbox_becomes_what_is_given_and_else_our_own: test"));
}

#[test]
fn what_is_given_and_cannot_be_executed_is_done_without() {
    let spec = with(InitFile::new(b"no executable").unwrap(), spec(&["/bin/sleep", "100"]));
    assert_eq!(started_as(&start(&spec)), "/proc/self/exe");
    let spec = Spec { argv: vec!["/bin/true".into()], ..spec };
    assert_eq!(run(&spec).outcome.exit, Exit::Code(0));
}

#[test]
fn what_sandboxes_become_is_changed_by_nobody() {
    let spec = with(given(), spec(&["/bin/sleep", "100"]));
    // The number is that of a descriptor of the host's, which is us.
    let path = started_as(&start(&spec));
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    assert_eq!(file.write(b"changed").unwrap_err().raw_os_error(), Some(REFUSED));
    assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(REFUSED));
    assert_eq!(file.set_len(1 << 30).unwrap_err().raw_os_error(), Some(REFUSED));

    let unsealed = rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let mut unsealed = fs::File::from(unsealed);
    unsealed.write_all(b"changed").unwrap();
    unsealed.set_len(0).unwrap();
}
