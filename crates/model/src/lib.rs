//! The vocabulary of Skylift: names, ids, legal transitions and wire types.
//!
//! No IO and no clock: everything here is a value or a pure function, so that every other crate may depend on it
//! and it depends on none of them.

mod chain;
pub mod clock;
pub mod digest;
pub mod environment;
pub mod git;
pub mod id;
pub mod instance;
pub mod manifest;
pub mod name;
pub mod path;
pub mod plan;
mod platform_variables;
pub mod program;
pub mod route;
pub mod site;
pub mod source;
pub mod state;
pub mod wire;

pub use chain::chain;
pub use clock::{Clock, Timestamp};
pub use digest::Digest;
pub use id::{DeploymentId, InstanceId, JobId, RequestId, TokenId, UploadId};
pub use instance::InstanceState;
pub use manifest::{FileEntry, FileMode, Manifest};
pub use name::{AppName, EnvName};
pub use path::FilePath;
pub use program::Program;
pub use state::DeploymentState;
