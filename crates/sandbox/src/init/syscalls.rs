//! The system calls that no payload may make.
//!
//! A deny list: builds run whatever compilers and package managers there are. On the list is what changes mounts,
//! namespaces or the kernel, looks into other processes, or has been a way out of sandboxes before.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("compile the filter")]
    Compile(#[from] seccompiler::BackendError),
    #[error("load the filter")]
    Load(#[from] seccompiler::Error),
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Binds this process and all it starts, for ever. Calls of a foreign architecture kill.
/// `apart`: see [`crate::Spec::apart`].
pub(super) fn install(apart: bool) -> Result<(), FilterError> {
    load(refused(apart)?)
}

/// For who has to enter sandboxes. What that takes besides is a right, and without it the call does nothing.
pub(super) fn install_but_for_entering(apart: bool) -> Result<(), FilterError> {
    let mut rules = refused(apart)?;
    rules.remove(&libc::SYS_setns);
    load(rules)
}

fn load(refused: Rules) -> Result<(), FilterError> {
    for program in programs(refused)? {
        seccompiler::apply_filter(&program)?;
    }
    Ok(())
}

fn programs(refused: Rules) -> Result<Vec<BpfProgram>, FilterError> {
    Ok(vec![
        compile(refused, libc::EPERM)?,
        // Not there, rather than forbidden: libc then falls back to clone, whose flags a filter can read.
        compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?,
        compile(BTreeMap::from([(libc::SYS_fallocate, room_beyond_the_end()?)]), libc::EOPNOTSUPP)?,
        #[cfg(target_arch = "x86_64")]
        foreign_numbers(),
    ])
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, FilterError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?.try_into()?)
}

fn refused(apart: bool) -> Result<Rules, FilterError> {
    let mut rules: Rules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    if apart {
        rules.extend(SHARED_FILES.iter().map(|call| (*call, Vec::new())));
        rules.insert(libc::SYS_fcntl, leases()?);
    }
    #[cfg(target_arch = "x86_64")]
    rules.extend(ALWAYS_X86.iter().map(|call| (*call, Vec::new())));
    rules.insert(libc::SYS_clone, clone_into_namespaces()?);
    rules.insert(libc::SYS_socket, sockets()?);
    rules.insert(libc::SYS_ioctl, terminal_injection()?);
    rules.insert(libc::SYS_personality, personalities()?);
    rules.insert(libc::SYS_process_madvise, advice_on_others()?);
    Ok(rules)
}

const ALWAYS: &[i64] = &[
    // Mounts and roots, old interface and new.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Large and often broken parts of the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    // Memory that the kernel itself can neither look into nor move.
    libc::SYS_memfd_secret,
    // Keyrings belong to users, not to sandboxes.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Files by handle, past every path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
];

/// What can be done to a file that may only be read, and is felt or seen by all who have it open. Record locks stay: databases need
/// them, and on such a file they hold up nobody.
const SHARED_FILES: &[i64] = &[
    libc::SYS_flock,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_inotify_init,
];

/// Newer than our libc crate; the number is the same on all architectures.
const OPEN_TREE_ATTR: i64 = 467;

#[cfg(target_arch = "x86_64")]
const ALWAYS_X86: &[i64] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];

fn clone_into_namespaces() -> Result<Vec<SeccompRule>, FilterError> {
    let flags = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let mut rules = Vec::new();
    for flag in flags {
        let flag = u64::from(flag.cast_unsigned());
        rules.push(all_of(&[(0, SeccompCmpOp::MaskedEq(flag), flag)])?);
    }
    Ok(rules)
}

/// Local sockets, IPv4, IPv6 and the routing netlink (for the list of interfaces); of IP only TCP, UDP and echo, since
/// naming another protocol loads its module.
fn sockets() -> Result<Vec<SeccompRule>, FilterError> {
    let different = |argument, value: i32| (argument, SeccompCmpOp::Ne, u64::from(value.cast_unsigned()));
    let equal = |argument, value: i32| (argument, SeccompCmpOp::Eq, u64::from(value.cast_unsigned()));
    let (family, protocol) = (0, 2);
    let known = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let mut rules = vec![
        all_of(&known.map(|known| different(family, known)))?,
        all_of(&[equal(family, libc::AF_NETLINK), different(protocol, libc::NETLINK_ROUTE)])?,
    ];
    for ip in [libc::AF_INET, libc::AF_INET6] {
        let spoken = [libc::IPPROTO_IP, libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6];
        let mut conditions = vec![equal(family, ip)];
        conditions.extend(spoken.map(|spoken| different(protocol, spoken)));
        rules.push(all_of(&conditions)?);
    }
    Ok(rules)
}

/// Being told of what others open, and of what changes in a folder.
fn leases() -> Result<Vec<SeccompRule>, FilterError> {
    let commands = [libc::F_SETLEASE, libc::F_NOTIFY];
    commands.into_iter().map(|command| all_of(&[(1, SeccompCmpOp::Eq, u64::from(command.cast_unsigned()))])).collect()
}

/// Typing into the terminal of whoever started us.
fn terminal_injection() -> Result<Vec<SeccompRule>, FilterError> {
    const TIOCLINUX: u64 = 0x541c;
    [libc::TIOCSTI, TIOCLINUX].into_iter().map(|request| all_of(&[(1, SeccompCmpOp::Eq, request)])).collect()
}

/// Room taken beyond a file's end counts for no limit on its size, and would fill a disk at once. Refused as by a file system that has no
/// such thing; giving room back, which keeps the size as well, is fine.
fn room_beyond_the_end() -> Result<Vec<SeccompRule>, FilterError> {
    let mask = u64::from((libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE).cast_unsigned());
    let keeps = u64::from(libc::FALLOC_FL_KEEP_SIZE.cast_unsigned());
    Ok(vec![all_of(&[(1, SeccompCmpOp::MaskedEq(mask), keeps)])?])
}

/// On one's own memory it is but `madvise` for several ranges.
fn advice_on_others() -> Result<Vec<SeccompRule>, FilterError> {
    const PIDFD_SELF: i32 = -10_000;
    Ok(vec![all_of(&[(0, SeccompCmpOp::Ne, u64::from(PIDFD_SELF.cast_unsigned()))])?])
}

/// Asking, and the ordinary one; others switch off address randomisation or change how pages map.
fn personalities() -> Result<Vec<SeccompRule>, FilterError> {
    const ASK: u64 = 0xffff_ffff;
    Ok(vec![all_of(&[(0, SeccompCmpOp::Ne, 0), (0, SeccompCmpOp::Ne, ASK)])?])
}

/// Arguments by their lower 32 bits: all of those compared here are ints to the kernel, which ignores the rest.
fn all_of(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, FilterError> {
    let mut compiled = Vec::with_capacity(conditions.len());
    for (argument, operator, value) in conditions {
        compiled.push(SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)?);
    }
    Ok(SeccompRule::new(compiled)?)
}

/// The x32 numbers are those of x86-64 with bit 30 set, under the same architecture: a filter by number misses them.
#[cfg(target_arch = "x86_64")]
fn foreign_numbers() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let (load_number, jump_if_at_least, answer) = (0x20, 0x35, 0x06);
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction(load_number, 0, 0, 0),
        instruction(jump_if_at_least, 0, 1, X32_BIT),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
