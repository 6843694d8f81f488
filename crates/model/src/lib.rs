//! The vocabulary of Skylift: names, ids, legal transitions and wire types.
//!
//! No IO and no clock: everything here is a value or a pure function, so that every other crate may depend on it
//! and it depends on none of them.

pub mod app_json;
mod chain;
pub mod clock;
pub mod digest;
pub mod endpoint;
pub mod environment;
pub mod git;
pub mod health;
pub mod id;
pub mod instance;
pub mod instance_type;
pub mod key;
pub mod link;
pub mod manifest;
pub mod meant;
pub mod name;
pub mod net;
pub mod path;
pub mod plan;
mod platform_variables;
pub mod program;
pub mod restart;
pub mod rollout;
pub mod route;
pub mod run;
pub mod service;
pub mod site;
pub mod source;
pub mod state;
pub mod template;
pub mod volume;
pub mod wire;

pub use chain::chain;
pub use clock::{Clock, Timestamp};
pub use digest::Digest;
pub use id::{DeploymentId, InstanceId, JobId, RequestId, RunId, TokenId, UploadId, VolumeId};
pub use instance::InstanceState;
pub use link::Link;
pub use manifest::{FileEntry, FileMode, Manifest};
pub use name::{AppName, EnvName, ServiceName, VolumeName};
pub use path::FilePath;
pub use program::Program;
pub use state::DeploymentState;
pub use template::Template;
