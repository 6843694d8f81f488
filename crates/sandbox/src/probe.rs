//! What isolation this machine gives, for `skylift doctor`. Found by trying: a sandbox is started, once plainly and
//! once with an overlay.

use std::path::Path;

use crate::cgroup::{Cgroups, Controller, Version};
use crate::remove_tree::remove_tree;
use crate::sandbox::Exit;
use crate::spawn::spawn;
use crate::spec::{Mount, Source, Spec};

/// What there is, and in plain words what there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// Whether we run as root; without it, sandboxes share our own user id.
    pub root: bool,
    /// Whether a sandbox could be started.
    pub works: bool,
    /// The kernel's kinds of namespaces, of those we use.
    pub namespaces: Vec<String>,
    pub cgroup_version: Version,
    pub controllers: Vec<String>,
    pub overlay: bool,
    pub seccomp: bool,
    /// What is not enforced, and what that means. Empty on a machine that has everything.
    pub missing: Vec<String>,
}

const NAMESPACES: &[&str] = &["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// Looks. Blocks for some tens of milliseconds, and makes a folder in the system's temporary one for that long.
pub fn probe() -> Isolation {
    let cgroups = Cgroups::own();
    let root = rustix::process::geteuid().is_root();
    let works = start(&Spec::new(["/bin/true"]));
    let overlay = if works.is_ok() { try_overlay() } else { Err("no sandbox starts".to_owned()) };
    let mut isolation = Isolation {
        root,
        works: works.is_ok(),
        namespaces: NAMESPACES
            .iter()
            .filter(|kind| exists(&format!("/proc/self/ns/{kind}")))
            .map(ToString::to_string)
            .collect(),
        cgroup_version: cgroups.version,
        controllers: cgroups.usable().map(|one| one.name().to_owned()).collect(),
        overlay: overlay.is_ok(),
        seccomp: exists("/proc/sys/kernel/seccomp/actions_avail"),
        missing: Vec::new(),
    };
    isolation.missing = missing(&isolation, cgroups, works.err(), overlay.err());
    isolation
}

fn missing(found: &Isolation, cgroups: &Cgroups, failed: Option<String>, overlay: Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    if let Some(why) = failed {
        missing.push(format!("sandboxes do not start, so nothing can be built or run: {why}"));
    }
    if !found.root {
        missing
            .push("a user id per sandbox: without root all of them run as this user, and keep its groups".to_owned());
    }
    for kind in NAMESPACES.iter().filter(|kind| !found.namespaces.iter().any(|found| found == *kind)) {
        missing.push(format!("{kind} namespaces: this kernel was built without them"));
    }
    let unlimited: Vec<String> = cgroups.missing().into_iter().map(|one| unlimited(one).to_owned()).collect();
    if !unlimited.is_empty() && cgroups.version == Version::V2 {
        missing.push(HOW_TO_DELEGATE.to_owned());
    }
    missing.extend(unlimited);
    if let Some(why) = overlay.filter(|_| found.works) {
        missing.push(format!("overlay mounts, so that shared folders have to be copied: {why}"));
    }
    if !found.seccomp {
        missing.push("seccomp: system calls are not filtered".to_owned());
    }
    missing
}

/// Version 2 gives groups only to who was given one.
const HOW_TO_DELEGATE: &str = "a control group of its own: start it with `systemd-run --user --scope -p Delegate=yes`, or in a unit \
    with `Delegate=yes`";

fn unlimited(controller: Controller) -> &'static str {
    match controller {
        Controller::Memory => "the memory controller: a sandbox may take all memory, and its peak is only estimated",
        Controller::Pids => "the pids controller: processes are limited per user instead of per sandbox",
        Controller::Cpu => "the cpu controller: a sandbox may take all processors",
        Controller::CpuAccount => "the cpuacct controller: CPU time is only estimated",
        Controller::Freezer => "the freezer controller: leftovers are killed in several rounds",
    }
}

fn start(spec: &Spec) -> Result<(), String> {
    let mut sandbox = spawn(spec).map_err(|error| with_causes(&error))?;
    match sandbox.wait().map_err(|error| error.to_string())?.exit {
        Exit::Code(0) => Ok(()),
        exit @ (Exit::Code(_) | Exit::Signal(_)) => Err(format!("/bin/true ended with {exit:?}")),
    }
}

fn try_overlay() -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("skylift-probe-{}", std::process::id()));
    let part = |name: &str| folder.join(name);
    let tried = ["lower", "upper", "work"]
        .iter()
        .try_for_each(|name| std::fs::create_dir_all(part(name)))
        .map_err(|error| error.to_string())
        .and_then(|()| {
            let from = |name| Source::Path(part(name));
            let mut spec = Spec::new(["/bin/true"]);
            let (upper, work) = (from("upper"), from("work"));
            spec.mounts.push(Mount::Overlay { lower: vec![from("lower")], upper, work, to: "/mnt/overlay".into() });
            start(&spec)
        });
    // The kernel leaves a folder in `work` that denies even its owner.
    let _ = remove_tree(&folder);
    tried
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}
