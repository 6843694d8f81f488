//! Compiles what interpreters need to become zygotes (`interpreters/`): an addon for Node and a library for Python, whose bytes are then part of
//! this crate.
//!
//! By the compiler that compiles everything else, and without the standard library, so it asks for nothing more to be installed, on the
//! machine that builds or on the one that runs. Cargo has no stable way to build a library for another's bytes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=interpreters");
    for (source, name) in [("node", "zygote.node"), ("python", "zygote.so")] {
        let made = PathBuf::from(variable("OUT_DIR")?).join(name);
        let compiled = compile(source, &made)?;
        if !compiled && variable("HOST")? == variable("TARGET")? {
            return Err(io::Error::other(format!("what {source} needs to become a zygote does not compile")));
        }
        if !compiled {
            // For another kind of machine, there may be no linker here that Cargo knows. Interpreters are started for each run then.
            println!("cargo::warning={source} cannot be a zygote");
            fs::write(made, [])?;
        }
    }
    Ok(())
}

fn compile(source: &str, made: &Path) -> io::Result<bool> {
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.args([
        "--edition",
        "2024",
        "--crate-type",
        "cdylib",
        "--crate-name",
        "zygote",
        "--target",
        &variable("TARGET")?,
    ]);
    rustc.args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "lto=fat", "-C", "strip=symbols"]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    Ok(rustc.arg("-o").arg(made).arg(format!("interpreters/{source}.rs")).status()?.success())
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
