//! What the API and its clients say to each other, as JSON.

mod ai;
mod app;
mod attend;
mod callback;
mod deployment;
mod env;
mod error;
mod instance;
mod job;
mod key;
mod language;
mod log;
mod net;
mod purge;
mod rollout;
mod run;
mod scaling;
mod status;
mod template;
mod tuner;
mod upload;
mod volume;
mod worker;

pub use ai::{AiDay, AiUsage, AiUsed};
pub use app::{App, AppList, CreateApp};
pub use attend::{RunSent, RunTold};
pub use callback::{CallbackAsked, CallbackSecret, RunCallback, RunCallbackState};
pub use deployment::{CreateDeployment, Deployment, DeploymentList, Failure, FileList, GitSource, RollBack};
pub use env::{EnvChange, EnvList, EnvVar};
pub use error::{Code, ErrorBody, ErrorEnvelope};
pub use instance::{CrashLoop, Instance, InstanceList, Restarted, RunCommand, SetInstances};
pub use job::{CleanedUp, Job, JobList};
pub use key::{ChangeKey, CreateKey, Key, KeyList, RunsUsed};
pub use language::{Language, LanguageList, Package, PackageSet, PackageSetState, RunLimits};
pub use log::{Event, LogLine, Stream};
pub use net::{Net, NetSeen, NetTold};
pub use purge::{Purge, Purged};
pub use rollout::Rollout;
pub use run::{
    Run, RunBatch, RunBatchTaken, RunBrief, RunCompiled, RunFile, RunList, RunMode, RunNetwork, RunOutput, RunRequest,
    RunStep, RunUsage,
};
pub use scaling::{Scaling, ScalingAnswer, ScalingExplained, ScalingNow, ScalingStep};
pub use status::{DiskStatus, MemoryStatus, NodeStatus, QueueStatus, SandboxStatus, Status};
pub use template::{ChooseType, ChosenType, LaunchTemplate};
pub use tuner::{Tuned, TunedPool, TunedWindow, Tuner, TunerList, TunerTold};
pub use upload::{CreateUpload, Upload};
pub use volume::{CreateDatabase, CreateVolume, Database, DatabaseList, Volume, VolumeList};
pub use worker::{Pace, RunBacklog, Worker, WorkerList, WorkerScaling, WorkerState, WorkerTold, Workforce};
