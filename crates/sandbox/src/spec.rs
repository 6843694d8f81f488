//! What a sandbox should be: what runs in it, as whom, what it sees, what it may use.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::InitFile;

/// One sandbox to be made by [`crate::spawn`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The executable that becomes the sandbox. Our own, which has to call [`crate::init_main`], where none is given,
    /// where it cannot be executed, and where the spec mounts our own ([`Mount::SelfExe`]).
    #[serde(skip)]
    pub init: Option<InitFile>,
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Where the payload starts, inside.
    pub cwd: PathBuf,
    /// The payload's user id; never 0. Give each sandbox that lives at the same time its own.
    pub uid: u32,
    /// The payload's group id; never 0.
    pub gid: u32,
    /// Its home in `/etc/passwd`.
    pub home: PathBuf,
    pub stdin: Stdin,
    pub stdout: Output,
    pub stderr: Output,
    /// Mounted in this order, onto the read-only system.
    pub mounts: Vec<Mount>,
    /// The size of `/tmp`.
    pub tmp: Scratch,
    /// The size of `/dev/shm`.
    pub shm: Scratch,
    pub limits: Limits,
    pub network: Network,
    /// The TCP port that the payload is to listen on, for the host to come in by [`crate::Sandbox::door`].
    pub serves: Option<u16>,
    /// A folder inside that the host wants to hold, to put files there before anything runs and to look at what is left. Then the
    /// sandbox is made by [`crate::prepare`], and `argv`, `env`, `cwd` and `limits` come later, with [`Order`].
    pub holds: Option<PathBuf>,
    /// What is held and never entered by a zygote: whatever takes long is then done before it is told what to run.
    pub executes: bool,
    /// Whether it may neither lock nor watch files. Those of the system are seen by others at the same time, who would be held up, or told by.
    pub apart: bool,
    /// The first part of the names of its cgroups, see [`crate::cgroup::sweep_leftovers`].
    pub group_prefix: String,
    /// What [`Source::Descriptor`] counts into; filled by [`Spec::pass`].
    #[serde(skip)]
    pub descriptors: Vec<OwnedFd>,
    /// Defences to leave out, for the tests that show what each of them is for.
    #[cfg(feature = "weaken")]
    #[doc(hidden)]
    pub weaken: std::collections::BTreeSet<Defence>,
}

/// What a sandbox that was made ahead is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// As in [`Spec`].
    pub argv: Vec<String>,
    /// As in [`Spec`].
    pub env: BTreeMap<String, String>,
    /// As in [`Spec`].
    pub cwd: PathBuf,
    /// In place of those that it was made with.
    pub limits: Limits,
}

/// What the payload reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    Null,
    /// [`crate::Sandbox::stdin`] is the other end.
    Pipe,
}

/// What the payload writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    Null,
    /// [`crate::Sandbox::stdout`] or [`crate::Sandbox::stderr`] is the other end.
    Pipe,
    /// For stderr: the same pipe as stdout, which keeps the order of the lines.
    WithStdout,
}

/// Something of the host to be seen inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    Path(PathBuf),
    /// An open file or folder, passed along by [`Spec::pass`]: no path is followed a second time.
    Descriptor(usize),
}

/// One mount. All are `nosuid` and `nodev`; missing mount points are made, and no symbolic link is followed to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    ReadOnly {
        from: Source,
        to: PathBuf,
    },
    Writable {
        from: Source,
        to: PathBuf,
    },
    /// A file system in memory, owned by the payload.
    Tmpfs {
        to: PathBuf,
        scratch: Scratch,
    },
    /// `lower` (uppermost first) seen through `upper`, which takes all changes. `work` is an empty folder on the same
    /// file system as `upper`.
    Overlay {
        lower: Vec<Source>,
        upper: Source,
        work: Source,
        to: PathBuf,
    },
    /// Our own executable, read-only, so that one of its commands can be the payload.
    SelfExe {
        to: PathBuf,
    },
}

/// The size of a file system in memory. Its bytes also count towards `memory_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    pub bytes: u64,
    pub inodes: u64,
}

/// What the whole sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all its processes, page cache and tmpfs included; no swap on top.
    pub memory_bytes: u64,
    /// Thousandths of a CPU.
    pub cpu_millicores: u32,
    /// Its part of a CPU that others want too, 1 to 10,000; a process outside of any sandbox has 100.
    pub cpu_weight: u32,
    /// Processes and threads at one time.
    pub pids: u32,
    /// The largest file it may write.
    pub file_bytes: u64,
    /// Open descriptors per process; lowered to what this process itself may have.
    pub open_files: u64,
}

/// What it can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Its own loopback and nothing else.
    None,
    /// Connections to any address arrive at [`crate::Sandbox::relay`], where the host decides.
    Relay {
        /// On 127.0.0.1, for programs that obey proxy variables.
        connect_port: u16,
        /// On every address, for those that do not.
        ports: Vec<u16>,
        /// UDP port 53 on every address.
        dns: bool,
    },
    /// Its own loopback, and on 127.0.0.1 there one port where the host answers: connections to it arrive at the `connect` of
    /// [`crate::Sandbox::relay`].
    Answered { port: u16 },
}

/// A defence that a test can leave out.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Defence {
    /// The payload has its own uid and no capability.
    Unprivileged,
    NoNewPrivileges,
    Seccomp,
    /// The root is ours, and the host's is out of sight.
    OwnRoot,
    ReadOnlySystem,
    /// Other users' processes are hidden in `/proc`.
    HiddenProcesses,
    /// What `/proc` tells about the host is covered.
    MaskedHost,
    OwnProcesses,
    OwnNetwork,
    OwnIpc,
    /// The payload has its three streams and no descriptor of ours.
    OwnDescriptors,
    MemoryLimit,
    PidsLimit,
    /// A payload that a zygote has forked is in the sandbox's control groups.
    JoinedGroups,
    /// It dies with the host.
    Lifeline,
}

impl Spec {
    /// A spec with harmless defaults: no network, 512 MiB, one CPU, 256 processes, all streams null.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            init: None,
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())]),
            cwd: "/".into(),
            uid: 65534,
            gid: 65534,
            home: "/tmp".into(),
            stdin: Stdin::Null,
            stdout: Output::Null,
            stderr: Output::Null,
            mounts: Vec::new(),
            tmp: Scratch { bytes: 64 << 20, inodes: 16_384 },
            shm: Scratch { bytes: 16 << 20, inodes: 1024 },
            limits: Limits {
                memory_bytes: 512 << 20,
                cpu_millicores: 1000,
                cpu_weight: 100,
                pids: 256,
                file_bytes: 1 << 30,
                open_files: 4096,
            },
            network: Network::None,
            serves: None,
            holds: None,
            executes: false,
            apart: false,
            group_prefix: "skylift".into(),
            descriptors: Vec::new(),
            #[cfg(feature = "weaken")]
            weaken: std::collections::BTreeSet::new(),
        }
    }

    /// Passes an open file or folder along, to be named in a mount.
    pub fn pass(&mut self, descriptor: OwnedFd) -> Source {
        self.descriptors.push(descriptor);
        Source::Descriptor(self.descriptors.len() - 1)
    }

    #[cfg(feature = "weaken")]
    pub(crate) fn keeps(&self, defence: Defence) -> bool {
        !self.weaken.contains(&defence)
    }

    #[cfg(not(feature = "weaken"))]
    #[expect(clippy::unused_self, reason = "the same call as where tests can leave a defence out")]
    pub(crate) fn keeps(&self, _: Defence) -> bool {
        true
    }
}
