//! Version 2: finding a group that can hand its controllers down to the groups we make in it.
//!
//! A group with processes of its own cannot, except the root. So, nearest first: our own group, when we are alone in it
//! and can move one step down; then the groups above it, of which those of a service manager have no processes. Where we
//! are not root that takes delegation: the group's folder and `cgroup.procs` must be ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Controller;
use super::discover::{V2, is_writable, join};

/// Where we go ourselves, so that our own group is empty.
const HOST_LEAF: &str = "skylift-host";

/// The nearest group with all controllers, else the one with the most. Changes `cgroup.subtree_control` on the way, and
/// may move this process.
pub(super) fn settle(root: &Path, own: &str) -> BTreeMap<Controller, PathBuf> {
    let Some(own) = own_group(root, own) else { return BTreeMap::new() };
    let mut best = BTreeMap::new();
    for place in places(root, &own) {
        let enabled: BTreeMap<_, _> = offered(&place)
            .filter(|controller| enable(&place, *controller, place == own))
            .map(|controller| (controller, place.clone()))
            .collect();
        if enabled.len() > best.len() {
            best = enabled;
        }
        if best.len() == V2.len() {
            break;
        }
    }
    best
}

/// The first place to be tried, which is not where we have moved ourselves earlier.
pub(super) fn own_group(root: &Path, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = path.strip_suffix(HOST_LEAF).filter(|above| above.ends_with('/')).unwrap_or(path);
    Some(join(root, path.trim_end_matches('/')))
}

/// The group and those above it that are ours to use. In a container the path may not be shown; the root then is.
pub(super) fn places(root: &Path, own: &Path) -> Vec<PathBuf> {
    let above = own.ancestors().take_while(|path| path.starts_with(root)).map(Path::to_owned);
    above.filter(|path| is_writable(path) && may_move_within(path)).collect()
}

/// A process is moved by who may write to `cgroup.procs` of the nearest group above both ends.
fn may_move_within(path: &Path) -> bool {
    let file = path.join("cgroup.procs");
    !file.exists() || rustix::fs::access(&file, Access::WRITE_OK).is_ok()
}

/// The controllers that a group has to give.
pub(super) fn offered(place: &Path) -> impl Iterator<Item = Controller> {
    let offered = fs::read_to_string(place.join("cgroup.controllers")).unwrap_or_default();
    V2.into_iter().filter(move |controller| offered.split_whitespace().any(|name| name == controller.name()))
}

fn enable(place: &Path, controller: Controller, is_own: bool) -> bool {
    let file = place.join("cgroup.subtree_control");
    let is_on = || {
        let on = fs::read_to_string(&file).unwrap_or_default();
        on.split_whitespace().any(|name| name == controller.name())
    };
    let wish = format!("+{}", controller.name());
    is_on() || fs::write(&file, &wish).is_ok() || (is_own && step_aside(place) && fs::write(&file, &wish).is_ok())
}

/// Moves this process out of its group where it is the only one there; others are not ours to move.
fn step_aside(own: &Path) -> bool {
    let us = std::process::id().to_string();
    let members = fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
    if members.lines().any(|member| member != us) {
        return false;
    }
    let leaf = own.join(HOST_LEAF);
    let made = fs::create_dir(&leaf);
    (made.is_ok() || leaf.is_dir()) && fs::write(leaf.join("cgroup.procs"), us).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fake group. Where it `refuses`, its switch is a folder, which cannot be written as a file.
    fn group(path: &Path, controllers: &str, refuses: bool) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("cgroup.controllers"), controllers).unwrap();
        let switch = path.join("cgroup.subtree_control");
        if refuses { fs::create_dir(switch).unwrap() } else { fs::write(switch, "").unwrap() }
    }

    const ALL: &str = "cpuset cpu io memory pids\n";

    #[test]
    fn controllers_are_handed_down_before_groups_are_made() {
        let root = tempfile::tempdir().unwrap();
        group(root.path(), "memory\n", false);
        let found = settle(root.path(), "0::/\n");
        assert_eq!(fs::read_to_string(root.path().join("cgroup.subtree_control")).unwrap(), "+memory");
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [Controller::Memory]);
    }

    #[test]
    fn a_group_that_others_are_in_is_left_for_the_one_above() {
        let root = tempfile::tempdir().unwrap();
        let slice = root.path().join("user.slice");
        group(root.path(), ALL, false);
        group(&slice, ALL, false);
        group(&slice.join("session.scope"), ALL, true);
        fs::write(slice.join("session.scope/cgroup.procs"), "1\n2\n").unwrap();
        let found = settle(root.path(), "0::/user.slice/session.scope\n");
        assert_eq!(found.values().collect::<Vec<_>>(), [&slice; 3]);
        assert_eq!(
            fs::read_to_string(root.path().join("cgroup.subtree_control")).unwrap(),
            "",
            "no further than needed"
        );
    }

    #[test]
    fn the_place_with_most_controllers_wins_and_the_nearest_of_equals() {
        let root = tempfile::tempdir().unwrap();
        let slice = root.path().join("slice");
        group(root.path(), "memory pids\n", false);
        group(&slice, "memory pids\n", false);
        group(&slice.join("own"), "pids\n", false);
        let found = settle(root.path(), "0::/slice/own\n");
        assert_eq!(found.values().collect::<Vec<_>>(), [&slice; 2]);
    }

    #[test]
    fn the_group_we_moved_to_is_not_taken_for_our_own() {
        let root = Path::new("/groups");
        let own = |text: &str| own_group(root, text);
        assert_eq!(own("0::/service/skylift-host\n"), Some("/groups/service".into()));
        assert_eq!(own("0::/service\n"), Some("/groups/service".into()));
        assert_eq!(own("0::/not-skylift-host\n"), Some("/groups/not-skylift-host".into()));
        assert_eq!(own("1:memory:/\n0::/\n"), Some("/groups/".into()));
        assert_eq!(own("1:memory:/\n"), None);
    }

    #[test]
    fn a_path_that_is_not_shown_leads_to_the_root() {
        let root = tempfile::tempdir().unwrap();
        group(root.path(), ALL, false);
        let found = settle(root.path(), "0::/somewhere/outside\n");
        assert_eq!(found.values().collect::<Vec<_>>(), [root.path(); 3]);
    }
}
