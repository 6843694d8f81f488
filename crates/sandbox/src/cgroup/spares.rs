//! Groups of sandboxes that have ended, for others to come: in version 1 there is one for each controller, and to make and to remove them all
//! takes longer than anything else that the host does for a run.
//!
//! Once it is empty a group is as good as new, but for two controllers: memory remembers the most that there was and keeps what files were read,
//! so that its group is always a new one; and counted CPU time is set to nothing again.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::group::is_gone;
use super::{Cgroups, Controller, Group, GroupError, Version, group_name};
use crate::spec::Limits;

/// More than that many are not kept.
const KEPT_MAX: usize = 32;

/// Empty groups. Removed once dropped.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<Group>>);

impl Spares {
    /// As [`Cgroups::create`], of one that is kept if there is any whose name begins so.
    ///
    /// # Errors
    /// As [`Cgroups::create`].
    pub(crate) fn create(&self, cgroups: &Cgroups, prefix: &str, limits: &Limits) -> Result<Group, GroupError> {
        let kept = self.take(prefix).and_then(|(group, name)| group.made_whole(cgroups, &name, limits).ok());
        kept.map_or_else(|| cgroups.create(&group_name(prefix), limits), Ok)
    }

    /// Keeps it where it can be used again, and says so; then nothing is left of it there.
    pub(crate) fn keep(&self, group: &mut Group) -> bool {
        if self.kept().len() >= KEPT_MAX || !group.is_as_new() {
            return false;
        }
        let nothing = Group::new(group.version, Default::default());
        self.kept().push(std::mem::replace(group, nothing));
        true
    }

    fn take(&self, prefix: &str) -> Option<(Group, String)> {
        let mut kept = self.kept();
        let named = |group: &Group| {
            let name = group.path().and_then(Path::file_name)?.to_str()?.to_owned();
            let is_of = name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-'));
            is_of.then_some(name)
        };
        let (at, name) = kept.iter().enumerate().rev().find_map(|(at, group)| Some((at, named(group)?)))?;
        Some((kept.swap_remove(at), name))
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    /// With what it lacks since it was kept, and these limits.
    fn made_whole(mut self, cgroups: &Cgroups, name: &str, limits: &Limits) -> Result<Self, GroupError> {
        let missing = cgroups.parents.iter().filter(|(controller, _)| !self.folders.contains_key(controller));
        let missing = missing.map(|(controller, parent)| (*controller, parent.clone())).collect();
        self.make(&missing, name)?;
        self.limit(limits)?;
        Ok(self)
    }

    /// Sees to it that nobody who is put there finds anything of who was there; whether that can be done.
    fn is_as_new(&mut self) -> bool {
        let says = |group: &Self, file, wanted| {
            let path = group.folders.get(&Controller::Pids).map(|folder| folder.join(file));
            path.and_then(|path| fs::read_to_string(path).ok()).is_some_and(|said| said.trim() == wanted)
        };
        // Whoever was refused a process is counted for ever.
        self.version == Version::V1
            && says(self, "pids.current", "0")
            && says(self, "pids.events", "max 0")
            && self.forgets_cpu_time()
            && self.lets_memory_go()
    }

    fn forgets_cpu_time(&self) -> bool {
        let folder = self.folders.get(&Controller::CpuAccount);
        folder.is_none_or(|folder| fs::write(folder.join("cpuacct.usage"), "0").is_ok())
    }

    fn lets_memory_go(&mut self) -> bool {
        let Some(folder) = self.folders.remove(&Controller::Memory) else { return true };
        if self.folders.values().any(|other| *other == folder) || !is_gone(&folder) {
            self.folders.insert(Controller::Memory, folder);
            return false;
        }
        self.entrances.remove(&folder);
        self.set.retain(|file, _| !file.starts_with(Controller::Memory.name()));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::trial::LIMITS;
    use super::*;

    /// Files that the kernel would make, and takes away again with their folder.
    fn made_up(root: &Path, version: &str) -> (Cgroups, Spares) {
        for controller in ["cpu", "cpuacct", "freezer", "memory", "pids"] {
            fs::create_dir(root.join(controller)).unwrap();
        }
        (Cgroups::discover(root, version), Spares::default())
    }

    fn empty(group: &Group) -> PathBuf {
        let pids = group.folders.get(&Controller::Pids).unwrap();
        fs::write(pids.join("pids.current"), "0\n").unwrap();
        fs::write(pids.join("pids.events"), "max 0\n").unwrap();
        let memory = group.folders.get(&Controller::Memory).unwrap();
        for file in fs::read_dir(memory).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        pids.clone()
    }

    const V1: &str = "1:memory:/\n2:pids:/\n3:cpu:/\n4:cpuacct:/\n5:freezer:/\n";

    #[test]
    fn an_empty_group_is_used_again_with_other_limits_and_a_memory_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let (cgroups, spares) = made_up(root.path(), V1);
        let mut group = spares.create(&cgroups, "skylift", &LIMITS).unwrap();
        let pids = empty(&group);
        fs::write(root.path().join("cpuacct").join(pids.file_name().unwrap()).join("cpuacct.usage"), "5000000")
            .unwrap();
        fs::remove_file(pids.join("pids.max")).unwrap();
        assert!(spares.keep(&mut group));
        assert_eq!(group.paths().len(), 0, "whoever gave it has nothing of it");
        assert_eq!(fs::read_dir(root.path().join("memory")).unwrap().count(), 0);

        let other = spares.create(&cgroups, "other", &LIMITS).unwrap();
        assert_ne!(other.folders.get(&Controller::Pids), Some(&pids), "its name is another's");
        let again = spares.create(&cgroups, "skylift", &crate::Limits { memory_bytes: 5 << 20, ..LIMITS }).unwrap();
        assert_eq!(again.folders.get(&Controller::Pids), Some(&pids));
        assert_eq!(again.folders.len(), 5);
        let memory = again.folders.get(&Controller::Memory).unwrap();
        assert_eq!(fs::read_to_string(memory.join("memory.limit_in_bytes")).unwrap(), "5242880");
        assert_eq!(again.cpu_us(), Some(0));
        assert!(!pids.join("pids.max").exists(), "what is set already is not set again");
        assert!(spares.kept().is_empty());
    }

    #[test]
    fn one_that_is_not_empty_or_was_met_at_its_limit_or_is_one_for_all_is_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let (cgroups, spares) = made_up(root.path(), V1);
        let mut group = spares.create(&cgroups, "skylift", &LIMITS).unwrap();
        assert!(!spares.keep(&mut group), "nothing is known of it");
        let pids = empty(&group);
        for (file, text) in [("pids.current", "1\n"), ("pids.events", "max 3\n")] {
            fs::write(pids.join(file), text).unwrap();
            assert!(!spares.keep(&mut group), "{file}");
            empty(&group);
        }
        assert!(group.folders.contains_key(&Controller::Memory));
        assert!(spares.keep(&mut group));

        let together = tempfile::tempdir().unwrap();
        let (cgroups, spares) = made_up(together.path(), "1:memory,pids:/\n");
        let mut group = spares.create(&cgroups, "skylift", &LIMITS).unwrap();
        fs::create_dir_all(group.paths().first().unwrap()).unwrap();
        assert!(!spares.keep(&mut group));
    }
}
