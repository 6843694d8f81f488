//! What rights a payload has, and which system calls it can make.

use skylift_sandbox::Defence::{NoNewPrivileges, Seccomp, Unprivileged};
use skylift_sandbox::Exit;

use crate::attack::{UID, is_root, python, run, with_and_without, without};

#[test]
fn a_payload_has_no_rights_and_cannot_gain_any() {
    if !is_root() {
        return;
    }
    let script = "
wanted = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp']
status = dict(line.rstrip('\\n').split(':', 1) for line in open('/proc/self/status'))
print(*('/'.join(status[name].split()) for name in wanted))";
    let (with, without) = with_and_without(script, &[Unprivileged, NoNewPrivileges, Seccomp]);
    let (none, us) = ("0000000000000000", format!("{UID}/{UID}/{UID}/{UID}"));
    assert_eq!(with, format!("{us} {us}  {none} {none} {none} {none} {none} 1 2"));
    let fields: Vec<&str> = without.split(' ').collect();
    assert_eq!((fields[0], fields[8], fields[9]), ("0/0/0/0", "0", "0"), "{without}");
    assert_ne!(fields[5], none, "{without}");
}

/// Calls with arguments that do no harm where they get through.
pub(crate) const CALLS: &str = "
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    got = libc.syscall(number, *(ctypes.c_long(argument) for argument in arguments))
    return errno.errorcode[ctypes.get_errno()] if got == -1 else 'done'
calls = {
    'mount': (165, 1, 1, 1, 0, 0), 'umount2': (166, 1, 0), 'pivot_root': (155, 1, 1), 'chroot': (161, 1),
    'fsopen': (430, 1, 0), 'fsconfig': (431, -1, 0, 0, 0, 0), 'fsmount': (432, -1, 0, 0), 'fspick': (433, -1, 1, 0),
    'open_tree': (428, -1, 1, 0), 'move_mount': (429, -1, 1, -1, 1, 0), 'mount_setattr': (442, -1, 1, 0, 1, 32),
    'unshare': (272, 0), 'setns': (308, -1, 0), 'clone': (56, 0x10000000 | 0x200, 0, 0, 0, 0),
    'ptrace': (101, 1, 999999, 0, 0), 'process_vm_readv': (310, 999999, 0, 0, 0, 0, 0),
    'process_vm_writev': (311, 999999, 0, 0, 0, 0, 0), 'pidfd_getfd': (438, -1, 0, 0), 'kcmp': (312, 999999, 999999, 0, 0, 0),
    'process_madvise': (440, -1, 0, 0, 0, 0),
    'bpf': (321, 999, 0, 0), 'perf_event_open': (298, 1, 0, 0, -1, 0), 'userfaultfd': (323, 0x7000000),
    'io_uring_setup': (425, 0, 1), 'io_uring_enter': (426, -1, 0, 0, 0, 0, 0), 'io_uring_register': (427, -1, 0, 0, 0),
    'memfd_secret': (447, 0xffff),
    'keyctl': (250, 9999, 0, 0, 0, 0), 'add_key': (248, 1, 1, 0, 0, 0), 'request_key': (249, 1, 1, 0, 0),
    'open_by_handle_at': (304, -1, 1, 0), 'name_to_handle_at': (303, -1, 1, 1, 1, 0),
    'kexec_file_load': (320, -1, -1, 0, 0, 0xffff), 'init_module': (175, 1, 0, 1), 'finit_module': (313, -1, 1, 0),
    'delete_module': (176, 1, 0), 'reboot': (169, 0, 0, 0, 0), 'swapon': (167, 1, 0), 'swapoff': (168, 1),
    'acct': (163, 1), 'quotactl': (179, 0, 0, 0, 0), 'syslog': (103, 99, 0, 0), 'settimeofday': (164, 1, 1),
    'clock_settime': (227, 0, 1), 'sethostname': (170, 1, 1), 'iopl': (172, 99), 'modify_ldt': (154, 99, 0, 0),
    'fanotify_init': (300, 0xffff, 0), 'personality': (135, 0x0040000), 'socket_vsock': (41, 40, 99, 0),
    'socket_packet': (41, 17, 99, 0), 'socket_alg': (41, 38, 99, 0), 'netlink_uevent': (41, 16, 99, 15),
    'socket_sctp': (41, 2, 1, 132), 'ioctl_tiocsti': (16, 0, 0x5412, 0), 'ioctl_tioclinux': (16, 0, 0x541c, 0),
}
def refused(): return [name for name, arguments in calls.items() if call(*arguments) == 'EPERM']
";

#[test]
#[cfg(target_arch = "x86_64")]
fn dangerous_calls_are_refused_even_to_root() {
    if !is_root() {
        return;
    }
    let script = format!("{CALLS}\nnames = refused()\nprint(len(calls) - len(names), *names, sep='\\n')");
    let (with, _) = with_and_without(&script, &[]);
    assert!(with.starts_with("0\n"), "{with}");
    let said = run(&without(python(&script), &[Unprivileged])).said;
    assert!(said.starts_with("0\n"), "every right does not help: {said}");

    // Without the filter the kernel looks at the arguments; the few it refuses by itself are not available to anyone.
    let said = run(&without(python(&script), &[Unprivileged, Seccomp])).said;
    let refused: Vec<&str> = said.lines().skip(1).collect();
    assert!(refused.iter().all(|name| ["init_module", "kexec_file_load", "finit_module"].contains(name)), "{said}");
}

#[test]
fn an_ordinary_user_gets_no_namespace_of_its_own() {
    let script = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print('made' if libc.unshare(0x10000000 | 0x20000) == 0 else os.strerror(ctypes.get_errno()))";
    let (with, without) = with_and_without(script, &[Seccomp]);
    assert_eq!(with, "Operation not permitted");
    assert_eq!(without, "made");
}

#[test]
fn no_room_is_taken_beyond_the_end_of_a_file_where_no_limit_sees_it() {
    let script = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
file = os.open('/tmp/file', os.O_CREAT | os.O_RDWR)
def room(mode):
    failed = libc.fallocate(file, mode, ctypes.c_long(0), ctypes.c_long(4096))
    return os.strerror(ctypes.get_errno()) if failed else 'done'
keep_size, punch_hole = 1, 2
print(room(keep_size), room(0), room(keep_size | punch_hole), sep=', ')";
    let (with, without) = with_and_without(script, &[Seccomp]);
    assert_eq!(with, "Operation not supported, done, done");
    assert_eq!(without, "done, done, done");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn clone3_is_absent_so_that_flags_cannot_hide_in_memory() {
    let script = format!("{CALLS}\nprint(call(435, 1, 0))");
    assert_eq!(with_and_without(&script, &[Seccomp]), ("ENOSYS".to_owned(), "EINVAL".to_owned()));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_of_the_32_bit_architecture_kill() {
    let script = "
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')  # mov eax, 20 (getpid); int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
print(ctypes.CFUNCTYPE(ctypes.c_int)(address)())";
    assert_eq!(run(&python(script)).outcome.exit, Exit::Signal(31));
    let off = run(&without(python(script), &[Seccomp])).outcome.exit;
    assert_ne!(off, Exit::Signal(31), "only the filter sends this signal");
}

#[test]
fn the_sockets_that_programs_need_are_there() {
    let script = "
import socket
for family, kind, protocol in [(1, 1, 0), (2, 1, 0), (2, 2, 0), (10, 1, 0), (10, 2, 17), (16, 3, 0)]:
    socket.socket(family, kind, protocol)
print('all')";
    assert_eq!(run(&python(script)).said, "all");
}
