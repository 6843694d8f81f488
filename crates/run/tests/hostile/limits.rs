//! Limits, each met, and not met where it is raised: that is its switch.

use skylift_model::run::{Limits, RunStatus};
use skylift_sandbox::Defence::{MemoryLimit, PidsLimit};
use skylift_sandbox::cgroup::{Cgroups, Controller};

use crate::host::{Host, limited, said};

/// The verdict of what runs with limits that are changed like this.
async fn verdict(host: &Host, source: &str, change: impl FnOnce(&mut Limits)) -> RunStatus {
    host.step(&limited(source, change)).await.status
}

/// Groups 6, 14, 17 and 31; 111 of the threats.
#[tokio::test]
async fn what_takes_too_much_is_ended_and_with_more_room_is_not() {
    let files = "for n in range(2): open(f'/box/{n}', 'wb').write(bytes(1 << 20))";
    let opens = "files = [open('/dev/null') for n in range(50)]";
    let spins = "import time\nwhile time.process_time() < 0.6: pass";
    let sleeps = "import time; time.sleep(0.4)";
    let stops = "import os, signal, threading, time
signal.signal(signal.SIGCONT, signal.SIG_IGN)
if os.fork() == 0:
    time.sleep(0.4); os.kill(os.getppid(), signal.SIGCONT); os._exit(0)
os.kill(os.getpid(), signal.SIGSTOP)";
    let prints = "import os\nfor n in range(20): os.write(1, bytes(100))";
    let host = Host::new();
    for (source, lower, status) in [
        (files, (|limits| limits.disk_bytes = 1 << 20) as fn(&mut Limits), RunStatus::ExitNonzero),
        (opens, |limits| limits.nofile = 20, RunStatus::ExitNonzero),
        (spins, |limits| limits.cpu_ms = 200, RunStatus::CpuLimit),
        (sleeps, |limits| limits.wall_ms = 100, RunStatus::TimeLimit),
        (stops, |limits| limits.wall_ms = 100, RunStatus::TimeLimit),
        (prints, |limits| limits.output_bytes = 1000, RunStatus::OutputLimit),
    ] {
        assert_eq!(verdict(&host, source, lower).await, status, "{source}");
        assert_eq!(verdict(&host, source, |_| ()).await, RunStatus::Ok, "the limit was raised: {source}");
    }
}

/// Group 6: what all runs may have in files. A million is no more than one too many.
#[tokio::test]
async fn names_in_a_folder_end_somewhere() {
    let makes = |count: u32| format!("import os\nfor n in range({count}): os.mknod(f'/box/{{n}}')");
    let host = Host::new();
    assert_eq!(verdict(&host, &makes(17_000), |_| ()).await, RunStatus::ExitNonzero);
    assert_eq!(verdict(&host, &makes(10_000), |_| ()).await, RunStatus::Ok);
}

/// Groups 11, 16, 18 and 19.
#[tokio::test]
async fn memory_and_processes_are_limited_from_outside() {
    let forks = "
import os, time
count = 0
for n in range(100):
    try:
        if os.fork() == 0: time.sleep(9); os._exit(0)
    except OSError: break
    count += 1
print(count)";
    let hoards = "x = bytearray(200 << 20); print('beyond')";
    let few = |source: &str| limited(source, |limits| (limits.pids, limits.memory_bytes) = (20, 64 << 20));
    let host = Host::new();
    if Cgroups::own().has(Controller::Pids) {
        assert_eq!(said(&host.step(&few(forks)).await), "19");
        assert_eq!(said(&Host::without(&[PidsLimit]).step(&few(forks)).await), "100");
    }
    if Cgroups::own().has(Controller::Memory) {
        assert_eq!(said(&host.step(&few(hoards)).await), "(MemoryLimit)");
        assert_eq!(said(&Host::without(&[MemoryLimit]).step(&few(hoards)).await), "beyond");
    }
}
