//! Makes the small executable that becomes the sandboxes of instances (`skylift_sandbox::InitFile`): it is this one.
//!
//! Cargo has no stable way to build an executable for another's bytes but build scripts, which are executables
//! themselves. Built on a machine for another kind of machine, this one would not run there: then there is none, and the
//! platform's own takes its place.
//!
//! And asks the linker for a smaller executable.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    if env::args().nth(1).as_deref() == Some("sandbox-init") {
        skylift_sandbox::init_main();
    }
    println!("cargo::rerun-if-changed=build.rs");
    if variable("TARGET")? == "x86_64-unknown-linux-gnu" && variable("PROFILE")? == "release" {
        make_smaller();
    }
    let made = PathBuf::from(variable("OUT_DIR")?).join("sandbox-init");
    if variable("HOST")? == variable("TARGET")? {
        fs::copy("/proc/self/exe", made).map(drop)
    } else {
        fs::write(made, [])
    }
}

/// Folds functions that are the same, and packs what is relocated as it is loaded: one byte in twenty. By the linker that the toolchain brings
/// for this target; glibc is 2.36 or newer then, and an older one says so.
fn make_smaller() {
    for option in ["--icf=all", "-z,pack-relative-relocs"] {
        println!("cargo::rustc-link-arg-bins=-Wl,{option}");
    }
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
