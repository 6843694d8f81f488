//! Where the executable under test is.

use std::path::PathBuf;

/// The executable: what `SKYLIFT_BIN` names, else the one built beside the running test.
pub fn path() -> PathBuf {
    if let Some(named) = std::env::var_os("SKYLIFT_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("the running test has a path");
    let built = test.ancestors().skip(1).map(|folder| folder.join("skylift")).find(|path| path.is_file());
    built.expect("the executable is not built: run `cargo build -p skylift`, or name it with SKYLIFT_BIN")
}
