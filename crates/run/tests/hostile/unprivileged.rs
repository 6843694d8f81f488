//! The same without root.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::host::is_root;

/// Runs the other tests of this executable again, as nobody; one by one, since they have one user then, and its processes are counted.
#[test]
#[expect(clippy::print_stderr, reason = "what the tests inside said belongs to the report of this one")]
fn an_ordinary_users_runs_are_confined_too() {
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
        .args(["--test-threads=1", "--skip", "unprivileged::"])
        .output()
        .unwrap();
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}
