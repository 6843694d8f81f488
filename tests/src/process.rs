//! Other processes of this machine, as /proc shows them.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// The ids of the processes with `marker` among their arguments or environment, whatever their user.
pub fn with_marker(marker: &str) -> Vec<u32> {
    let own = std::process::id();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| *pid != own && names(*pid, marker)).collect()
}

/// Kills every process with `marker` in its environment, as the kernel may, and waits until none is left; returns how many there
/// were.
///
/// # Panics
/// Where there is none.
pub async fn kill_all(marker: &str) -> usize {
    let mut all = BTreeSet::new();
    wait::until("they are dead", async || {
        // A server begins another worker in the place of a dead one as long as it lives itself.
        let more = with_marker(marker);
        for pid in &more {
            let pid = Pid::from_raw((*pid).try_into().unwrap()).unwrap();
            let _ended_meanwhile = kill_process(pid, Signal::KILL);
        }
        all.extend(&more);
        (more.is_empty() && !all.iter().any(|pid| is_alive(*pid))).then_some(())
    })
    .await;
    assert!(!all.is_empty(), "no process has {marker}");
    all.len()
}

/// Whether it has not ended: one that is ending has no environment any more, and still has its sockets.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in brackets, which may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn names(pid: u32, marker: &str) -> bool {
    let contains = |file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(marker.len()).any(|window| window == marker.as_bytes())
    };
    contains("cmdline") || contains("environ")
}

/// The most memory that a process has had resident, in bytes.
pub fn peak_memory_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
