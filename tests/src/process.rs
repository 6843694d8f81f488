//! Other processes of this machine, as /proc shows them.

use std::fs;

/// The ids of the processes with `marker` among their arguments or environment, whatever their user.
pub fn with_marker(marker: &str) -> Vec<u32> {
    let own = std::process::id();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| *pid != own && names(*pid, marker)).collect()
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
