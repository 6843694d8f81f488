//! What the API and its clients say to each other, as JSON.

mod app;
mod deployment;
mod env;
mod error;
mod instance;
mod job;
mod log;
mod purge;
mod status;
mod upload;

pub use app::{App, AppList, CreateApp};
pub use deployment::{CreateDeployment, Deployment, DeploymentList, Failure, FileList, GitSource, RollBack};
pub use env::{EnvChange, EnvList, EnvVar};
pub use error::{Code, ErrorBody, ErrorEnvelope};
pub use instance::{Instance, InstanceList, SetInstances};
pub use job::{CleanedUp, Job, JobList};
pub use log::{Event, LogLine, Stream};
pub use purge::{Purge, Purged};
pub use status::{DiskStatus, MemoryStatus, QueueStatus, SandboxStatus, Status};
pub use upload::{CreateUpload, Upload};
