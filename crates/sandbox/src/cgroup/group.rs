//! The group of one sandbox: made, joined by its first process, killed, removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use super::{Cgroups, Controller, Version};
use crate::process::pause;
use crate::spec::Limits;

#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error("make the control group {path}")]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("set {path} to {value}")]
    Set {
        path: PathBuf,
        value: String,
        #[source]
        source: io::Error,
    },
    #[error("move process {pid} into {path}")]
    Join {
        pid: i32,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("open {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("processes in {path} cannot be killed")]
    Unkillable { path: PathBuf },
    #[error("remove the control group {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The folders of one sandbox, one per controller in version 1, one for all in version 2. Removed once dropped.
#[derive(Debug)]
pub struct Group {
    pub(super) version: Version,
    pub(super) folders: BTreeMap<Controller, PathBuf>,
    /// By folder, where somebody is to join.
    pub(super) entrances: BTreeMap<PathBuf, File>,
    /// The limits that it has, by the files that say them.
    pub(super) set: BTreeMap<&'static str, String>,
}

/// How often, and with what pause between, a dying group is looked at again: four seconds in all.
const ATTEMPTS: u32 = 800;
const PAUSE_MS: u32 = 5;
/// The same once nobody waits any more: five minutes.
const LATER_ATTEMPTS: u32 = 1200;
const LATER_PAUSE_MS: u32 = 250;

impl Cgroups {
    /// Makes the groups for one sandbox and sets its limits.
    ///
    /// # Errors
    /// When a usable controller refuses; nothing is left behind then.
    pub fn create(&self, name: &str, limits: &Limits) -> Result<Group, GroupError> {
        let mut group = Group::new(self.version, BTreeMap::new());
        group.make(&self.parents, name)?;
        group.limit(limits)?;
        Ok(group)
    }
}

impl Group {
    pub(super) fn new(version: Version, folders: BTreeMap<Controller, PathBuf>) -> Self {
        Self { version, folders, entrances: BTreeMap::new(), set: BTreeMap::new() }
    }

    /// Puts a process in; its children follow.
    ///
    /// # Errors
    /// When the kernel refuses, as it does for a process that has ended.
    pub fn join(&self, pid: Pid) -> Result<(), GroupError> {
        let pid = pid.as_raw_nonzero().get();
        for path in self.paths() {
            fs::write(path.join("cgroup.procs"), pid.to_string()).map_err(|source| GroupError::Join {
                pid,
                path: path.to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// Files to which a process with one thread writes `0` to put itself in, and its children with it, once they are open.
    pub(crate) fn entrances(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.entrances.values().map(AsFd::as_fd)
    }

    /// # Errors
    /// When they cannot be opened.
    pub(crate) fn open_entrances(&mut self) -> Result<(), GroupError> {
        // A thread that moves itself alone keeps nobody waiting, where a whole process makes the kernel hold up all that fork. Version
        // 2 moves processes only.
        let name = match self.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        };
        for folder in self.folders.values() {
            if !self.entrances.contains_key(folder) {
                let path = folder.join(name);
                let opened = File::options().write(true).open(&path);
                let opened = opened.map_err(|source| GroupError::Open { path, source })?;
                self.entrances.insert(folder.clone(), opened);
            }
        }
        Ok(())
    }

    /// A folder of it, which names its processes.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.folders.values().next().map(PathBuf::as_path)
    }

    /// Kills every process in it and waits until none is left. May be repeated.
    ///
    /// # Errors
    /// When some will not die, which only the kernel can cause; all of its folders have been tried then.
    pub fn kill(&self) -> Result<(), GroupError> {
        first_error(self.paths().into_iter().map(|path| self.kill_in(path)))
    }

    /// Removes the folders of a group whose processes have ended. May be repeated.
    ///
    /// # Errors
    /// When processes are left in one; the others have been removed then.
    pub fn remove(&self) -> Result<(), GroupError> {
        first_error(self.paths().into_iter().map(remove_folder))
    }

    /// The same where nothing is left in it, at once; whether that was all of it. The kernel removes none with a process in it.
    pub(crate) fn remove_where_empty(&self) -> bool {
        let kept = self.paths().into_iter().filter(|path| !is_gone(path)).count();
        kept == 0
    }

    pub(super) fn leftover(version: Version, path: PathBuf) -> Self {
        Self::new(version, BTreeMap::from([(Controller::Pids, path)]))
    }

    fn kill_in(&self, path: &Path) -> Result<(), GroupError> {
        for _ in 0..ATTEMPTS {
            let members = members(path);
            if members.is_empty() {
                return Ok(());
            }
            self.kill_once(path, &members);
            pause(PAUSE_MS);
        }
        Err(GroupError::Unkillable { path: path.to_owned() })
    }

    /// Version 2 kills in one step. Version 1 stops the tree first, where it can, so that no fork outruns the kills.
    fn kill_once(&self, path: &Path, members: &[Pid]) {
        if self.version == Version::V2 && fs::write(path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        let freezer = self.folders.get(&Controller::Freezer).map(|path| path.join("freezer.state"));
        let freeze = |state| freezer.as_ref().map(|file| fs::write(file, state));
        freeze("FROZEN");
        for pid in members {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        freeze("THAWED");
    }

    pub(super) fn make(&mut self, parents: &BTreeMap<Controller, PathBuf>, name: &str) -> Result<(), GroupError> {
        for (controller, parent) in parents {
            let path = parent.join(name);
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(_) if self.folders.values().any(|made| *made == path) => {}
                Err(source) => return Err(GroupError::Make { path, source }),
            }
            self.folders.insert(*controller, path);
        }
        Ok(())
    }

    pub(super) fn paths(&self) -> BTreeSet<&Path> {
        self.folders.values().map(PathBuf::as_path).collect()
    }
}

impl Drop for Group {
    /// A busy machine may take longer to end what is in it than anybody waits: the rest is done beside.
    fn drop(&mut self) {
        let left: Vec<PathBuf> = self.paths().into_iter().filter(|path| !is_gone(path)).map(Path::to_owned).collect();
        if !left.is_empty() {
            let _ = std::thread::Builder::new().name("skylift-cgroup".to_owned()).spawn(move || remove_later(left));
        }
    }
}

/// Tries for five minutes; what is left then is found by the next start.
fn remove_later(mut left: Vec<PathBuf>) {
    for _ in 0..LATER_ATTEMPTS {
        pause(LATER_PAUSE_MS);
        left.retain(|path| !is_gone(path));
        if left.is_empty() {
            return;
        }
    }
}

/// Removes a folder where that can be done at once.
pub(super) fn is_gone(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The processes of a group.
pub(crate) fn members(path: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)).collect()
}

/// Does all of them, whatever becomes of each: what one controller keeps is no reason to leave the others.
fn first_error(results: impl Iterator<Item = Result<(), GroupError>>) -> Result<(), GroupError> {
    results.fold(Ok(()), Result::and)
}

/// A group stays busy for a moment after its last process has been reaped.
fn remove_folder(path: &Path) -> Result<(), GroupError> {
    for _ in 0..ATTEMPTS {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => pause(PAUSE_MS),
            Err(source) => return Err(GroupError::Remove { path: path.to_owned(), source }),
        }
    }
    Err(GroupError::Remove { path: path.to_owned(), source: io::ErrorKind::ResourceBusy.into() })
}

#[cfg(test)]
mod tests {
    use super::super::trial::LIMITS;
    use super::*;

    #[test]
    fn a_group_that_cannot_be_limited_is_not_left_behind() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory")).unwrap();
        let cgroups = Cgroups::discover(root.path(), "1:memory:/\n2:pids:/\n");
        // The name leads through a file, so that making the group fails.
        fs::write(root.path().join("memory/file"), "").unwrap();
        assert!(matches!(cgroups.create("file/x", &LIMITS), Err(GroupError::Make { .. })));
        assert_eq!(fs::read_dir(root.path().join("memory")).unwrap().count(), 1);
    }

    #[test]
    fn a_controller_that_keeps_its_folder_does_not_keep_the_others() {
        let root = tempfile::tempdir().unwrap();
        for controller in ["cpu", "memory", "pids"] {
            fs::create_dir(root.path().join(controller)).unwrap();
        }
        let cgroups = Cgroups::discover(root.path(), "1:memory:/\n2:pids:/\n3:cpu:/\n");
        let mut group = Group::new(Version::V1, BTreeMap::new());
        group.make(&cgroups.parents, "skylift-1").unwrap();
        // A fake folder is not removed while there is something in it, as a real one with a process is not.
        fs::create_dir(root.path().join("cpu/skylift-1/inner")).unwrap();

        let Err(GroupError::Remove { path, .. }) = group.remove() else { panic!("the first error is told") };
        assert_eq!(path, root.path().join("cpu/skylift-1"));
        assert!(path.exists() && !root.path().join("memory/skylift-1").exists());
        assert!(!root.path().join("pids/skylift-1").exists(), "those after the one that failed are gone too");
        drop(group);
        assert!(path.exists(), "still busy");
        fs::remove_dir(path.join("inner")).unwrap();
        let began = std::time::Instant::now();
        while path.exists() {
            assert!(began.elapsed().as_secs() < 60, "nobody removes it later");
            std::thread::yield_now();
        }
    }
}
