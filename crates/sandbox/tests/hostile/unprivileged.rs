//! The same without root: user namespaces stand in for it, and what is missing is named.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use skylift_sandbox::probe;

use crate::attack::is_root;

#[test]
fn the_machine_is_described() {
    let found = probe();
    assert!(found.works, "{found:?}");
    assert_eq!(found.missing.is_empty(), found.root && found.overlay && found.controllers.len() >= 3, "{found:?}");
    assert_eq!(probed(), 0, "it leaves nothing behind");
}

/// The folders of this process's probes in the system's temporary one.
fn probed() -> usize {
    let name = format!("skylift-probe-{}", std::process::id());
    let temporary = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    temporary.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)).count()
}

/// Runs the other tests of this executable again, as nobody; one by one, since some count what the process holds.
#[test]
#[expect(clippy::print_stderr, reason = "what the tests inside said belongs to the report of this one")]
fn an_ordinary_user_is_confined_too() {
    if !is_root() {
        return;
    }
    // A copy where the user `nobody` may read it: what was built may lie below a home that is closed to others.
    let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let copy = folder.path().join("hostile");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("/usr/bin/setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&copy)
        .args(["--test-threads=1", "--skip", "unprivileged::an_ordinary"])
        .output()
        .unwrap();
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}
