//! Why the store did not do what it was asked.

use skylift_model::instance_type::UnknownType;
use skylift_model::rollout::RolloutState;
use skylift_model::run::RunState;
use skylift_model::volume::MountPath;
use skylift_model::{AppName, DeploymentId, DeploymentState, InstanceId, JobId, RunId, TokenId, UploadId, VolumeName};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("there is no {0}")]
    NotFound(Missing),
    /// The state of the rows does not allow it.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The job's lease was lost: it expired, was cancelled, or somebody else holds it.
    #[error("the lease on the job was lost")]
    Fenced,
    /// The idempotency key was used with another request.
    #[error("this Idempotency-Key was used before with another request")]
    IdempotencyMismatch,
    /// The disk is full.
    #[error("the disk with the database is full")]
    OutOfSpace,
    /// The database cannot be reached at the moment. A write may have been done or not: look, then ask again.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// Somebody else uses the database, who must not meanwhile.
    #[error("the database is in use by a process that serves from it, or is being moved")]
    InUse,
    /// Two connections of ours are one session of the server: locks and settings of a session mean nothing.
    #[error(
        "the way to the database does not keep sessions: let the pooler keep them (PgBouncer: pool_mode = session), or name \
         the server itself"
    )]
    Pooled,
    /// The address of the database is none; the text never repeats it.
    #[error("the database's address is not understood: {0}")]
    Address(String),
    /// The database was made by a newer version.
    #[error(
        "the database has schema {found}, this version knows {known}; start the newer version, or restore a backup"
    )]
    Newer { found: i64, known: i64 },
    /// A row does not hold what the schema promises.
    #[error("row is damaged: {0}")]
    Damaged(String),
    /// The database failed.
    #[error("database")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk did not take it.
    #[error("the disk with the database fails")]
    Disk(#[source] std::io::Error),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether it is not what was asked that failed, but the database or its disk, for now: asked again later, it may be done.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutOfSpace | Self::Disk(_))
    }
}

/// What there is none of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("app `{0}`")]
    App(AppName),
    #[error("deployment `{0}`")]
    Deployment(DeploymentId),
    #[error("deployment `{deployment}` of app `{app}`")]
    DeploymentOf { app: AppName, deployment: DeploymentId },
    #[error("upload `{0}`")]
    Upload(UploadId),
    #[error("upload `{upload}` of app `{app}`")]
    UploadOf { app: AppName, upload: UploadId },
    #[error("dead job `{0}`")]
    DeadJob(JobId),
    #[error("instance `{0}`")]
    Instance(InstanceId),
    #[error("rollout of app `{0}`")]
    Rollout(AppName),
    #[error("process `{process}` of app `{app}`")]
    Process { app: AppName, process: String, has: Vec<String> },
    #[error("volume `{name}` of app `{app}`")]
    Volume { app: AppName, name: VolumeName },
    #[error("database `{name}` of app `{app}`")]
    Database { app: AppName, name: VolumeName },
    #[error("key `{0}`")]
    Key(TokenId),
    #[error(
        "run `{0}`; runs are kept for their `ttl_s`, and those that a client waits for only where it is given: else they end with their connection"
    )]
    Run(RunId),
}

/// What about the state of things does not allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("there is an app `{0}` already")]
    AppExists(AppName),
    #[error("upload `{upload}` still waits for {waits} {}", if *.waits == 1 { "blob" } else { "blobs" })]
    UploadIncomplete { upload: UploadId, waits: u64 },
    #[error("deployment `{deployment}` is {current}; it cannot become {next}")]
    Transition { deployment: DeploymentId, current: DeploymentState, next: DeploymentState },
    #[error("deployment `{deployment}` is {state}; there is nothing to cancel")]
    Settled { deployment: DeploymentId, state: DeploymentState },
    #[error("app `{0}` has nothing to roll back to")]
    NothingBelow(AppName),
    #[error("deployment `{0}` is live already")]
    LiveAlready(DeploymentId),
    #[error("deployment `{deployment}` is {state}; only what was live can be gone back to")]
    NeverLive { deployment: DeploymentId, state: DeploymentState },
    #[error("what is live of app `{0}` changed meanwhile")]
    LiveChanged(AppName),
    #[error("job `{job}` is of kind `{kind}`, which only a newer version knows")]
    UnknownKind { job: JobId, kind: String },
    #[error("the environment of app `{0}` changed meanwhile")]
    EnvChanged(AppName),
    #[error("app `{app}` is to have {min} to {max} instances, not {wanted}")]
    OutOfBounds { app: AppName, wanted: u32, min: u32, max: u32 },
    #[error("no rollout of app `{0}` is under way")]
    NoRollout(AppName),
    #[error("the rollout of app `{app}` is {state}")]
    RolloutIs { app: AppName, state: RolloutState },
    #[error("nothing that runs is live of app `{0}`")]
    NothingRuns(AppName),
    #[error("what is live of app `{0}` is a site: files, which are served without instances")]
    IsSite(AppName),
    #[error(transparent)]
    NoSuchType(UnknownType),
    #[error("app `{app}` has a volume or database `{name}` already")]
    VolumeExists { app: AppName, name: VolumeName },
    #[error("{path} is where app `{app}` sees its volume `{by}`, or lies in it or around it")]
    PathTaken { app: AppName, path: MountPath, by: VolumeName },
    #[error("`{volume}` has one writer: app `{app}` cannot have up to {wanted} instances")]
    OneWriter { app: AppName, volume: VolumeName, wanted: u32 },
    #[error("a rollout of app `{0}` is under way")]
    RollsOut(AppName),
    #[error("run `{run}` is {}; there is nothing to cancel", .state.as_str())]
    RunSettled { run: RunId, state: RunState },
    #[error("run `{run}` is {}; only what was given up is sent again", .state.as_str())]
    RunNotDead { run: RunId, state: RunState },
    #[error("app `{app}` keeps data: {}", list(.names))]
    KeepsData { app: AppName, names: Vec<VolumeName> },
}

fn list(names: &[VolumeName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What the system says of a disk that fails, which SQLite keeps to itself.
const EIO: i32 = 5;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::OutOfSpace,
            Some(rusqlite::ErrorCode::SystemIoFailure) => Self::Disk(std::io::Error::from_raw_os_error(EIO)),
            // Somebody else, such as a program that copies the file, holds it longer than we wait.
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Unavailable("somebody else holds the database's file".to_owned())
            }
            _ => Self::Database(error.into()),
        }
    }
}

impl skylift_durable::OfDisk for StoreError {
    fn of_disk(&self) -> Option<String> {
        match self {
            Self::OutOfSpace => Some("no space is left".to_owned()),
            Self::Disk(error) => error.of_disk(),
            _ => None,
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::OutOfSpace,
            _ => Self::Disk(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
