//! Git sources: the grammar of addresses and refs, and the clone.
//!
//! An address and a ref are checked before any process starts. The clone runs inside a sandbox, with Git's hooks,
//! filters, submodules and foreign configuration off, and its files leave as frames.

pub mod address;
pub mod clone;
mod commit;
mod note;
pub mod reference;
mod trouble;

pub use address::{GitAddress, GitPolicy, InvalidAddress, Scheme};
pub use note::{CloneNote, InvalidNote, Named};
pub use reference::{GitRef, InvalidRef};
