//! What of the host's files can be read or written.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use skylift_sandbox::Defence::{HiddenProcesses, MaskedHost, OwnRoot, ReadOnlySystem, Seccomp, Unprivileged};

use crate::attack::{is_root, python, run, with_and_without, without};

const READ: &str = "
def read(path):
    try: return open(path, 'rb').read(20).decode('latin1')
    except OSError as error: return error.strerror
";

#[test]
fn files_of_the_host_are_out_of_sight() {
    if !is_root() {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    fs::set_permissions(host.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let canary = host.path().join("canary");
    fs::write(&canary, "canary").unwrap();
    let script = format!("{READ}\nprint(read({canary:?}))");
    let (with, without) = with_and_without(&script, &[OwnRoot]);
    assert_eq!(with, "No such file or directory");
    assert_eq!(without, "canary");
}

#[test]
fn passwords_and_the_home_of_root_are_out_of_reach() {
    if !is_root() {
        return;
    }
    let script = format!("{READ}\nimport os\nprint(read('/etc/shadow')[:5])\nprint(len(os.listdir('/root')) > 0)");
    let (with, without) = with_and_without(&script, &[OwnRoot, Unprivileged]);
    assert_eq!(with, "No su\nFalse");
    assert!(without.starts_with("root:"), "{without}");
    assert!(without.ends_with("True"), "{without}");
}

#[test]
fn the_system_is_read_only_even_to_root() {
    if !is_root() {
        return;
    }
    let script = "
def attempt(path):
    try: open(path, 'w'); return 'written'
    except OSError as error: return error.strerror
print(*map(attempt, ['/file', '/etc/file', '/dev/file', '/usr/file', '/bin/sh', '/tmp/file']), sep='; ')";
    let ro = "Read-only file system";
    assert_eq!(run(&without(python(script), &[Unprivileged])).said, format!("{ro}; {ro}; {ro}; {ro}; {ro}; written"));
    // Only below our own root: the control must not write to the host's /usr.
    let script = script.replace(", '/usr/file', '/bin/sh'", "");
    let said = run(&without(python(&script), &[Unprivileged, ReadOnlySystem])).said;
    assert_eq!(said, format!("written; written; {ro}; written"));
}

#[test]
fn devices_cannot_be_made() {
    if !is_root() {
        return;
    }
    let script = "
import os, stat
try: os.mknod('/tmp/disk', 0o666 | stat.S_IFBLK, os.makedev(254, 0)); print('made')
except OSError as error: print(error.strerror)
try: os.open('/tmp/disk', os.O_RDONLY); print('opened')
except OSError as error: print(error.strerror)";
    let (with, without) = with_and_without(script, &[Unprivileged]);
    assert_eq!(with, "Operation not permitted\nNo such file or directory");
    assert_eq!(without, "made\nPermission denied", "made, but the mount lets no device be opened");
}

#[test]
fn the_first_process_cannot_be_looked_into() {
    if !is_root() {
        return;
    }
    let script = format!(
        "{READ}
print(read('/proc/1/environ'), read('/proc/1/mem'), read('/proc/1/root/etc/hostname'), read('/proc/1/cmdline'), sep='; ')"
    );
    let absent = "No such file or directory";
    let (with, hidden_off) = with_and_without(&script, &[HiddenProcesses]);
    assert_eq!(with, format!("{absent}; {absent}; {absent}; {absent}"));
    assert!(hidden_off.starts_with("Permission denied; Permission denied; Permission denied; /proc/self/exe"));
    let all_off = run(&without(python(&script), &[HiddenProcesses, Unprivileged])).said;
    assert!(all_off.contains("; skylift"), "as root it can be: {all_off}");
}

#[test]
fn what_proc_tells_about_the_host_is_covered() {
    let host = fs::read_to_string("/proc/cmdline").unwrap();
    assert!(!host.trim().is_empty(), "there is something to hide");
    let read = "print(open('/proc/cmdline').read().strip())";
    let (with, uncovered) = with_and_without(read, &[MaskedHost]);
    assert_eq!((with.as_str(), uncovered.as_str()), ("", host.trim()));

    // A file without content, or one that this user may not read, tells as little as a covered one.
    let look = "
import os
files = ['bootconfig', 'cmdline', 'config.gz', 'diskstats', 'interrupts', 'iomem', 'ioports', 'kallsyms', 'kcore', 'key-users', 'keys',
    'latency_stats', 'modules', 'partitions', 'sched_debug', 'slabinfo', 'softirqs', 'swaps', 'timer_list', 'vmallocinfo']
folders = ['acpi', 'bus', 'driver', 'irq', 'scsi']
def content(path):
    try: return os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1)
    except OSError: return None
print(*(name for name in files + folders if content('/proc/' + name)), '/sys/firmware' * os.path.exists('/sys/firmware'))";
    let (with, uncovered) = with_and_without(look, &[MaskedHost]);
    assert_eq!(with, "");
    assert!(uncovered.split(' ').count() > 5, "{uncovered}");
    let writes = "
import os
os.write(os.open('/proc/cmdline', os.O_WRONLY), b'x')
try: os.mkdir('/proc/irq/x')
except OSError as error: print(open('/proc/cmdline').read(), os.listdir('/proc/irq'), error.strerror)";
    assert_eq!(run(&python(writes)).said, "[] Read-only file system");
    if is_root() {
        let said = |defences: &[_]| run(&without(python(look), defences)).said;
        assert_eq!(said(&[Unprivileged]), "", "not even root sees what is below");
        let bare = said(&[Unprivileged, MaskedHost]);
        assert!(bare.contains("timer_list") && bare.contains("kallsyms"), "{bare}");
    }
}

#[test]
fn what_tools_size_themselves_by_can_be_read() {
    let look = "print(*(len(open('/proc/' + name).read()) > 0 for name in ['cpuinfo', 'meminfo', 'stat', 'loadavg', 'uptime', 'version']))";
    assert_eq!(run(&python(look)).said, "True True True True True True");
}

#[test]
fn the_kernels_switches_cannot_be_opened_for_writing() {
    if !is_root() {
        return;
    }
    // Opened only, never written: the control runs on the kernel that runs the tests.
    let script = "
import os
def attempt(path):
    try: os.close(os.open(path, os.O_WRONLY)); return 'open'
    except OSError as error: return error.strerror
paths = ['/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches', '/proc/sysrq-trigger', '/proc/sys/kernel/modprobe']
print(*{attempt(path) for path in paths if os.path.exists(path)})";
    let (with, without) = with_and_without(script, &[Unprivileged]);
    assert_eq!((with.as_str(), without.as_str()), ("Permission denied", "open"));
}

#[test]
fn no_control_group_can_be_seen_or_mounted() {
    if !is_root() {
        return;
    }
    let look = "import os\nprint(os.path.isdir('/sys/fs/cgroup'))";
    let (with, without_root) = with_and_without(look, &[OwnRoot]);
    assert_eq!((with.as_str(), without_root.as_str()), ("False", "True"));

    let mount = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
os.mkdir('/tmp/mounted')
mounted = libc.mount(b'none', b'/tmp/mounted', b'tmpfs', 0, None)
print('mounted' if mounted == 0 else os.strerror(ctypes.get_errno()))";
    let (with, as_root_unfiltered) = with_and_without(mount, &[Unprivileged, Seccomp]);
    assert_eq!((with.as_str(), as_root_unfiltered.as_str()), ("Operation not permitted", "mounted"));
    assert_eq!(run(&without(python(mount), &[Unprivileged])).said, "Operation not permitted", "the filter alone");
    assert_eq!(run(&without(python(mount), &[Seccomp])).said, "Operation not permitted", "the missing rights alone");
}
