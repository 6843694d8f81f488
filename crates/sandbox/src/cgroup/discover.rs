//! Where this process may make groups.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::{Cgroups, Controller, Version, hand_down};

const V1: [Controller; 5] =
    [Controller::Memory, Controller::Pids, Controller::Cpu, Controller::CpuAccount, Controller::Freezer];
pub(super) const V2: [Controller; 3] = [Controller::Memory, Controller::Pids, Controller::Cpu];

impl Cgroups {
    /// Looks below `root` for the groups that `own` (the text of `/proc/self/cgroup`) names.
    ///
    /// Controllers in use by version 1 are not in version 2's list, so the kind of the memory controller decides.
    pub fn discover(root: &Path, own: &str) -> Self {
        let v1 = discover_v1(root, own);
        if !v1.is_empty() {
            return Self { version: Version::V1, parents: v1, places: Vec::new() };
        }
        let places = hand_down::own_group(root, own).map(|own| hand_down::places(root, &own)).unwrap_or_default();
        Self { version: Version::V2, parents: offered_v2(&places), places }
    }

    /// For version 2: hands the controllers down to the groups we shall make, and forgets those that cannot be.
    pub(super) fn settle(&mut self, root: &Path, own: &str) {
        if self.version == Version::V2 {
            self.parents = hand_down::settle(root, own);
        }
    }
}

fn discover_v1(root: &Path, own: &str) -> BTreeMap<Controller, PathBuf> {
    let mut found = BTreeMap::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(names), Some(path)) = (fields.next(), fields.next()) else { continue };
        for controller in V1 {
            if names.split(',').any(|name| name == controller.name())
                && let Some(parent) = writable_v1(root, names, controller, path)
            {
                found.insert(controller, parent);
            }
        }
    }
    found
}

/// The own group, or, where a container shows only its own part of the tree, the top of what is mounted.
fn writable_v1(root: &Path, names: &str, controller: Controller, path: &str) -> Option<PathBuf> {
    let mounted = [root.join(names), root.join(controller.name())].into_iter().find(|path| path.is_dir())?;
    [join(&mounted, path), mounted].into_iter().find(|path| is_writable(path))
}

fn offered_v2(places: &[PathBuf]) -> BTreeMap<Controller, PathBuf> {
    let Some(place) = places.first() else { return BTreeMap::new() };
    hand_down::offered(place).map(|controller| (controller, place.clone())).collect()
}

pub(super) fn join(mounted: &Path, path: &str) -> PathBuf {
    mounted.join(path.trim_start_matches('/'))
}

pub(super) fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn version_2_is_found_at_our_own_group() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("system.slice/skylift.service");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();

        let found = Cgroups::discover(root.path(), "0::/system.slice/skylift.service\n");
        assert_eq!(found.version, Version::V2);
        assert_eq!(found.missing(), []);
        assert_eq!(found.parents.get(&Controller::Memory), Some(&own));
    }

    #[test]
    fn a_controller_that_is_not_delegated_is_named_as_missing() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "memory pids\n").unwrap();
        assert_eq!(Cgroups::discover(root.path(), "0::/\n").missing(), [Controller::Cpu]);
        assert_eq!(Cgroups::discover(root.path(), "").missing().len(), 3, "nothing can be known without our own group");
    }

    #[test]
    fn version_1_finds_joined_controllers_and_nested_groups() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["cpu,cpuacct", "memory/box/inner", "pids"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let own = "5:memory:/box/inner\n4:pids:/not/shown/here\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n";
        let found = Cgroups::discover(root.path(), own);
        assert_eq!(found.version, Version::V1);
        assert_eq!(found.missing(), []);
        assert_eq!(found.parents[&Controller::Memory], root.path().join("memory/box/inner"));
        assert_eq!(found.parents[&Controller::Pids], root.path().join("pids"));
        assert_eq!(found.parents[&Controller::CpuAccount], root.path().join("cpu,cpuacct/"));
    }
}
