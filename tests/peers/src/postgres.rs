//! PostgreSQL, as Debian packages it.
//!
//! It refuses to run as root, so it runs as its own user; `setpriv` gives it that, and lets it die with us. An empty
//! database takes a second to make: it is made once, kept beside the test programs, and copied.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server with one database, on a socket of its own. Stopped when dropped.
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    user: Option<User>,
    options: Vec<String>,
    process: Option<Child>,
    /// How many databases were made besides the first.
    databases: AtomicU32,
}

#[derive(Clone, Copy)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Starts a server that does not sync its files: they outlive its process, but not this machine. `None`, and said
    /// so, where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&["fsync=off"])
    }

    /// Starts a server with settings of its configuration file, such as `fsync=on`.
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            crate::skipped("PostgreSQL");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        let user = other_user();
        copy(&empty_database(&programs, user), &folder.path().join("data"), user);
        own(folder.path(), user);
        let options = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { folder, programs, user, options, process: None, databases: AtomicU32::new(0) };
        server.start_again();
        Some(server)
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/{database}")
    }

    /// The address of one more database, an empty one.
    pub fn new_database(&self) -> String {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut create = run_as(self.user, &self.programs.join("createdb"));
        let made = create.arg("-h").arg(self.folder.path()).args(["-U", "postgres", &name]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.url_of(&name)
    }

    /// Runs statements on its database, as somebody at its own prompt would, and returns the rows.
    pub fn by_hand(&self, sql: &str) -> String {
        let mut prompt = run_as(self.user, &self.programs.join("psql"));
        let ran =
            prompt.args([&self.url(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// One more server that follows this one, and takes its place when it is told to.
    pub fn copy(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        own(folder.path(), self.user);
        let mut take = run_as(self.user, &self.programs.join("pg_basebackup"));
        take.arg("-h").arg(self.folder.path()).args(["-U", "postgres", "--checkpoint=fast", "--no-sync", "-R", "-D"]);
        let taken = take.arg(folder.path().join("data")).output().unwrap();
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        let Self { programs, user, options, .. } = self;
        let (programs, options) = (programs.clone(), options.clone());
        let mut copy = Self { folder, programs, user: *user, options, process: None, databases: AtomicU32::new(0) };
        copy.start_again();
        copy
    }

    /// Makes a copy a server of its own.
    pub fn promote(&self) {
        let mut promote = run_as(self.user, &self.programs.join("pg_ctl"));
        let done = promote.args(["promote", "-w", "-s", "-D"]).arg(self.folder.path().join("data")).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Stops all of it in its tracks: connections stay, nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        for process in self.processes().into_iter().filter_map(hold) {
            let _ = pidfd_send_signal(&process, signal);
        }
    }

    /// Ends it and everything it started, as the end of the machine would. Nothing of it is left when this returns.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let started: Vec<OwnedFd> = children(process.id()).into_iter().filter_map(hold).collect();
        let _ = process.kill();
        for child in &started {
            let _ = pidfd_send_signal(child, Signal::KILL);
        }
        let _ = process.wait();
        for child in &started {
            // Readable once the process is gone.
            let _ = poll(&mut [PollFd::new(child, PollFlags::IN)], None);
        }
    }

    /// The ids of its processes, while it runs.
    pub fn processes(&self) -> Vec<u32> {
        let Some(process) = &self.process else { return Vec::new() };
        children(process.id()).into_iter().chain([process.id()]).collect()
    }

    /// Starts it where it was ended, with what it had.
    pub fn start_again(&mut self) {
        self.kill();
        // Another program may hold what it needs for a moment.
        for _ in 0..5 {
            if let Some(process) = self.attempt() {
                self.process = Some(process);
                return;
            }
        }
        panic!("PostgreSQL does not start in {}", self.folder.path().display());
    }

    fn attempt(&self) -> Option<Child> {
        let mut command = run_as(self.user, &self.programs.join("postgres"));
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        // Shared memory in files of its own folder: what a killed server leaves behind goes with that.
        for setting in
            ["dynamic_shared_memory_type=mmap", "listen_addresses=", "max_connections=60", "shared_buffers=32MB"]
        {
            command.args(["-c", setting]);
        }
        for option in &self.options {
            command.args(["-c", option]);
        }
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, ready) = mpsc::channel();
        let errors = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                // A copy says "read-only connections".
                if line.contains("ready to accept") {
                    let _ = tell.send(());
                }
            }
        });
        if ready.recv_timeout(READY_WITHIN).is_ok() {
            return Some(process);
        }
        let _ = process.kill();
        let _ = process.wait();
        None
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a process has started itself.
fn children(id: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// A process that cannot be mistaken for another one later.
fn hold(id: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(id.try_into().ok()?)?, PidfdFlags::empty()).ok()
}

/// The folder with the newest PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let folder = version.ok()?.path();
            Some((folder.file_name()?.to_str()?.parse().ok()?, folder.join("bin")))
        })
        .filter(|(_, programs)| programs.join("postgres").exists() && programs.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs)
}

/// Who the server runs as: the package's user where we are root.
pub(crate) fn other_user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |what: &str| -> u32 {
        let told = Command::new("id").args([what, "postgres"]).output().unwrap();
        String::from_utf8(told.stdout).unwrap().trim().parse().unwrap()
    };
    Some(User { uid: id("-u"), gid: id("-g") })
}

pub(crate) fn run_as(user: Option<User>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(User { uid, gid }) = user {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
    }
    command.args(["--pdeathsig=KILL", "--"]).arg(program).current_dir("/").env("LC_ALL", "C.UTF-8");
    command
}

/// A folder with an empty database that is never started, made by whoever comes first.
fn empty_database(programs: &Path, user: Option<User>) -> PathBuf {
    let version = programs.parent().and_then(Path::file_name).unwrap().to_owned();
    let beside = std::env::current_exe().unwrap().parent().unwrap().join("postgres-empty");
    let kept = beside.join(version);
    if kept.exists() {
        return kept;
    }
    let work = tempfile::tempdir().unwrap();
    own(work.path(), user);
    // A language whose order of letters is not that of bytes: what depends on it shows.
    let made = run_as(user, &programs.join("initdb"))
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale-provider=icu", "--icu-locale=en"])
        .args(["--no-sync", "--wal-segsize=1", "-D"])
        .arg(work.path().join("data"))
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    std::fs::create_dir_all(&beside).unwrap();
    let ours = tempfile::Builder::new().prefix("new").tempdir_in(&beside).unwrap();
    copy(&work.path().join("data"), &ours.path().join("data"), None);
    // Whoever was first stays.
    let _ = std::fs::rename(ours.path().join("data"), &kept);
    kept
}

fn copy(from: &Path, to: &Path, user: Option<User>) {
    std::fs::create_dir(to).unwrap();
    std::fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    own(to, user);
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, user);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
            own(&target, user);
        }
    }
}

pub(crate) fn own(path: &Path, user: Option<User>) {
    if let Some(User { uid, gid }) = user {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}
