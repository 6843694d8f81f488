//! The tools of other languages than JavaScript: this node's own, or none.

use std::path::{Path, PathBuf};

use super::{ToolError, Tools, read_only};
use crate::client::ask;

/// Where Python is looked for: what sandboxes see of this node.
const PYTHONS: &[&str] = &["/usr/local/bin/python3", "/usr/bin/python3"];

const PIPS: &[&str] = &["/usr/local/bin/pip3", "/usr/bin/pip3"];

/// Python with what makes virtual environments and installs into them.
pub(super) fn python() -> Result<Tools, ToolError> {
    let script = "import pip, platform, venv; print(platform.python_version())";
    let version = PYTHONS.iter().find(|path| Path::new(path).exists()).map(|path| ask(path, &["-c", script]));
    let has_pip = PIPS.iter().any(|path| Path::new(path).exists());
    match version {
        Some(Some(version)) if has_pip => Ok(Tools { names: vec![format!("python {version}")], ..Tools::default() }),
        Some(_) => Err(unavailable(
            "this server's Python has no pip or cannot make virtual environments, which the project needs",
            "the owner can install what is missing (python3-pip and python3-venv on Debian)",
        )),
        None => Err(unavailable(
            "this server has no Python in /usr, which the project needs",
            "the owner can install it (python3, python3-pip and python3-venv on Debian)",
        )),
    }
}

/// Rust, and the linker that it needs. The toolchain may lie in somebody's home: its own folder alone is seen inside.
pub(super) fn rust() -> Result<Tools, ToolError> {
    let found = ask("rustc", &["--version"]).zip(ask("rustc", &["--print", "sysroot"]));
    let Some((version, prefix)) = found.filter(|(_, prefix)| Path::new(prefix).join("bin/cargo").is_file()) else {
        return Err(unavailable(
            "this server has no Rust, which the project needs",
            "the owner can install it (rustup, or rustc and cargo of the distribution) and start Skylift again",
        ));
    };
    if !Path::new("/usr/bin/cc").exists() {
        return Err(unavailable(
            "this server has no linker, which Rust needs",
            "the owner can install a C compiler (gcc on Debian)",
        ));
    }
    Ok(own(&PathBuf::from(prefix), "rust", version))
}

/// Go.
pub(super) fn go() -> Result<Tools, ToolError> {
    let found = ask("go", &["version"]).zip(ask("go", &["env", "GOROOT"]));
    let Some((version, prefix)) = found.filter(|(_, prefix)| Path::new(prefix).join("bin/go").is_file()) else {
        return Err(unavailable(
            "this server has no Go, which the project needs",
            "the owner can install it (golang-go on Debian) and start Skylift again",
        ));
    };
    Ok(own(&PathBuf::from(prefix), "go", version))
}

/// A toolchain of this node, seen inside as it is or below `/run/tools`.
fn own(prefix: &Path, name: &str, version: String) -> Tools {
    let mut tools = Tools { names: vec![version], ..Tools::default() };
    if prefix.starts_with("/usr") {
        tools.path.push(prefix.join("bin").display().to_string());
    } else {
        let inside = format!("/run/tools/{name}");
        tools.mounts.push(read_only(prefix.to_owned(), &inside));
        tools.path.push(format!("{inside}/bin"));
    }
    tools
}

fn unavailable(message: &str, hint: &str) -> ToolError {
    ToolError::Unavailable { message: message.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_in_a_home_is_seen_by_its_own_folder() {
        let tools = own(Path::new("/home/me/.rustup/toolchains/stable"), "rust", "rustc 1".to_owned());
        assert_eq!(tools.path, ["/run/tools/rust/bin"]);
        assert_eq!(tools.mounts, [read_only("/home/me/.rustup/toolchains/stable".into(), "/run/tools/rust")]);
        let tools = own(Path::new("/usr/lib/go-1.24"), "go", "go 1.24".to_owned());
        assert_eq!((tools.path.as_slice(), tools.mounts.len()), (["/usr/lib/go-1.24/bin".to_owned()].as_slice(), 0));
    }
}
