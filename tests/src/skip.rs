//! Tests that this machine cannot run: skipped, and said so.

use std::net::ToSocketAddrs;
use std::process::Command;

use crate::spread::Apart;

/// Whether this process is root; says on stderr that the test is skipped where it is not.
pub fn unless_root(test: &str) -> bool {
    rustix::process::geteuid().is_root() || skipped(test, "needs root")
}

/// Whether network namespaces can be made.
pub fn unless_namespaces(test: &str) -> bool {
    let made = || Command::new("unshare").args(["--net", "ip", "link"]).output().is_ok_and(|ran| ran.status.success());
    unless_root(test) && (made() || skipped(test, "no network namespace can be made here, or `ip` is not installed"))
}

/// Whether this machine speaks IPv6.
pub fn unless_ipv6(test: &str) -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok() || skipped(test, "this machine has no IPv6")
}

/// Whether Node and npm are installed.
pub fn unless_node(test: &str) -> bool {
    has("node") && has("npm") || skipped(test, "needs Node.js and npm")
}

/// Whether packages can be had: npm is installed and answers for a package.
pub fn unless_packages(test: &str) -> bool {
    if !unless_node(test) {
        return false;
    }
    let asked = Command::new("npm").args(["view", "is-number", "version"]).output();
    asked.is_ok_and(|answer| answer.status.success()) || skipped(test, "no npm registry answers")
}

/// Whether Python packages can be had: Python makes virtual environments and an index answers for a package.
pub fn unless_python_packages(test: &str) -> bool {
    let python = |arguments: &[&str]| {
        let ran = Command::new("/usr/bin/python3").args(arguments).output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    if !python(&["-c", "import ensurepip, venv"]) {
        return skipped(test, "needs Python in /usr with python3-venv");
    }
    python(&["-m", "pip", "index", "versions", "itsdangerous"]) || skipped(test, "no Python package index answers")
}

/// Whether blobs are files in the data folder.
pub fn unless_own_stores(test: &str) -> bool {
    let is_set = std::env::var("SKYLIFT_TEST_STORES").is_ok_and(|set| set == "distributed");
    let is_spread = Apart::of_the_run().is_some();
    !is_set && !is_spread || skipped(test, "looks at blobs in the data folder")
}

/// Whether the platform is one process, in the network of the test.
pub fn unless_one_network(test: &str) -> bool {
    let is_spread = Apart::of_the_run().is_some();
    !is_spread || skipped(test, "listens where instances are to reach it")
}

/// Whether a program is installed.
pub fn unless_program(test: &str, program: &str) -> bool {
    has(program) || skipped(test, &format!("needs {program}"))
}

/// Whether a program is installed that answers to this argument.
pub fn unless_answers(test: &str, program: &str, argument: &str) -> bool {
    let answers = Command::new(program).arg(argument).output().is_ok_and(|ran| ran.status.success());
    answers || skipped(test, &format!("needs {program}"))
}

/// Whether a name resolves to an address that is not loopback, and which.
pub fn own_address() -> Option<std::net::IpAddr> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let addresses = (name.as_str(), 0).to_socket_addrs().ok()?;
    addresses.map(|address| address.ip()).find(|ip| !ip.is_loopback() && ip.is_ipv4())
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success())
}

#[expect(clippy::print_stderr, reason = "a test that did not run must not look as if it had")]
fn skipped(test: &str, why: &str) -> bool {
    eprintln!("SKIPPED {test}: {why}");
    false
}
