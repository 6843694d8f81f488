//! The Visitor Board (`examples/visitor-board`): by itself on each DynamoDB-compatible server there is, on a platform whose
//! instances come, go and die, and as the demo shows it.

#[path = "board/alone.rs"]
mod alone;
#[path = "board/demo.rs"]
mod demo;
#[path = "board/instances.rs"]
mod instances;
#[path = "board/visitor.rs"]
mod visitor;

use std::path::{Path, PathBuf};

/// The folder of the whole repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// The project as it stands there.
fn source() -> PathBuf {
    repository().join("examples/visitor-board")
}
