//! Compiles what Node needs to become a zygote (`node/`): an addon, whose bytes are then part of this crate.
//!
//! By the compiler that compiles everything else, and without the standard library, so it asks for nothing more to be installed, on the
//! machine that builds or on the one that runs. Cargo has no stable way to build a library for another's bytes.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=node");
    let made = PathBuf::from(variable("OUT_DIR")?).join("zygote.node");
    let compiled = compile(&made)?;
    if !compiled && variable("HOST")? == variable("TARGET")? {
        return Err(io::Error::other("the addon for Node does not compile"));
    }
    if !compiled {
        // For another kind of machine, there may be no linker here that Cargo knows. Node is started for each run then.
        println!("cargo::warning=without its addon, Node cannot be a zygote");
        fs::write(made, [])?;
    }
    Ok(())
}

fn compile(made: &PathBuf) -> io::Result<bool> {
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
    Ok(rustc.arg("-o").arg(made).arg("node/lib.rs").status()?.success())
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
