//! Makes the small executable that becomes the sandboxes of instances (`skylift_sandbox::InitFile`): it is this one.
//!
//! Cargo has no stable way to build an executable for another's bytes but build scripts, which are executables
//! themselves. Built on a machine for another kind of machine, this one would not run there: then there is none, and the
//! platform's own takes its place.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    if env::args().nth(1).as_deref() == Some("sandbox-init") {
        skylift_sandbox::init_main();
    }
    println!("cargo::rerun-if-changed=build.rs");
    let made = PathBuf::from(variable("OUT_DIR")?).join("sandbox-init");
    if variable("HOST")? == variable("TARGET")? {
        fs::copy("/proc/self/exe", made).map(drop)
    } else {
        fs::write(made, [])
    }
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
