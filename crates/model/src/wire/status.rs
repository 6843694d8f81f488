use serde::{Deserialize, Serialize};

/// `GET /v1/status`: how the platform is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// The version of the program that answers.
    pub version: String,
    /// How long it has been up, in milliseconds.
    pub uptime_ms: u64,
    /// Whether everything works; `problems` says what does not. Where it is true and there are some, the disk is slow.
    pub healthy: bool,
    /// What does not work as it should, and what to do, for people.
    pub problems: Vec<String>,
    /// Processes of apps that end again and again, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crash_looping: Vec<String>,
    /// How many apps there are.
    pub apps: u64,
    /// How many deployments are kept.
    pub deployments: u64,
    /// The job queues, by kind.
    pub queues: Vec<QueueStatus>,
    /// The nodes that instances run on.
    #[serde(default)]
    pub nodes: Vec<NodeStatus>,
    /// The data folder's disk.
    pub disk: DiskStatus,
    /// The largest file of a source that is taken, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes_max: Option<u64>,
    /// This process's memory.
    pub memory: MemoryStatus,
    /// What isolation this machine gives to builds.
    pub sandbox: SandboxStatus,
}

/// One kind of job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueStatus {
    /// `build`, `deploy`, `commit` or `cleanup`.
    pub kind: String,
    /// How many wait.
    pub ready: u64,
    /// How many are being worked on.
    pub leased: u64,
    /// How many were given up after too many attempts; they can be replayed.
    pub dead: u64,
    /// How long the oldest waiting one has waited, in milliseconds.
    pub oldest_ms: u64,
}

/// A node, and what instances take of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeStatus {
    /// What it is called.
    pub name: String,
    /// How many instances it has.
    pub instances: u64,
    /// How much memory they may use together, in bytes, and how much of it those that there are may.
    pub memory_bytes: u64,
    pub memory_taken_bytes: u64,
    /// The same for processors, in thousandths of one.
    pub cpu_millicores: u64,
    pub cpu_taken_millicores: u64,
}

/// The disk that holds the data folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiskStatus {
    /// What our own objects take, in bytes.
    pub used_bytes: u64,
    /// The budget for them, in bytes; clean-up works towards it.
    pub budget_bytes: u64,
    /// What the file system has left, in bytes.
    pub free_bytes: u64,
    /// What is kept free so that deleting and rolling back still work, in bytes.
    pub reserve_bytes: u64,
}

/// The memory of the answering process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryStatus {
    /// Resident set, in bytes.
    pub resident_bytes: u64,
    /// What the machine has available, in bytes.
    pub available_bytes: u64,
}

/// What isolation this machine gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SandboxStatus {
    /// Whether every promised limit is enforced.
    pub complete: bool,
    /// What is missing and what that means, for people.
    pub missing: Vec<String>,
}
