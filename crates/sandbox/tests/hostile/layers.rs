//! One folder as the files of many instances at once.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use skylift_sandbox::cgroup::Cgroups;
use skylift_sandbox::{DiskUsage, Mount, Sandbox, Source, Spec, disk_usage};

use crate::attack::{UID, is_root, python, start};

/// As an artifact lies on the disk: the platform's, readable by all, nothing of it writable by others.
fn lay_out(at: &Path) {
    fs::create_dir_all(at.join("bin")).unwrap();
    fs::create_dir_all(at.join("data")).unwrap();
    for (name, mode) in [("app.py", 0o644), ("data/seed", 0o644), ("bin/run", 0o755)] {
        fs::write(at.join(name), "#!/bin/sh\necho lower").unwrap();
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for name in ["", "bin", "data"] {
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

const SCRIPT: &str = "
import os, subprocess, sys
print('lower' in open('/app/app.py').read(), subprocess.check_output(['/app/bin/run']).decode().strip(), flush=True)
def attempt(path):
    try: open(path, 'w').write(sys.argv[1]); return open(path).read()
    except OSError as error: return error.strerror
print(attempt('/app/own'), flush=True)
sys.stdin.read()";

fn instance(folder: &Path, number: u32, mount: Mount) -> Spec {
    let mut spec = python(SCRIPT);
    spec.argv.push(format!("instance {number}"));
    spec.stdin = skylift_sandbox::Stdin::Pipe;
    // Each its own; without root all are ours.
    (spec.uid, spec.gid) = (UID + 100 + number, UID + 100 + number);
    if is_root() {
        for name in ["upper", "work"] {
            chown(folder.join(format!("{number}/{name}")), Some(spec.uid), Some(spec.gid)).unwrap();
        }
    }
    spec.mounts.push(mount);
    spec
}

fn said(sandbox: &mut Sandbox) -> Vec<String> {
    let lines = BufReader::new(fs::File::from(sandbox.stdout.take().unwrap())).lines();
    lines.take(2).map(Result::unwrap).collect()
}

#[test]
fn many_instances_share_one_layer_and_change_only_their_own() {
    let host = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let layer = host.path().join("layer");
    lay_out(&layer);
    let before: Vec<_> = fs::read_dir(&layer).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut sandboxes: Vec<Sandbox> = (0..5)
        .map(|number| {
            let at = |name: &str| host.path().join(format!("{number}/{name}"));
            fs::create_dir_all(at("upper")).unwrap();
            fs::create_dir_all(at("work")).unwrap();
            let (upper, work) = (Source::Path(at("upper")), Source::Path(at("work")));
            let mount = Mount::Overlay { lower: vec![Source::Path(layer.clone())], upper, work, to: "/app".into() };
            start(&instance(host.path(), number, mount))
        })
        .collect();
    for (number, sandbox) in sandboxes.iter_mut().enumerate() {
        assert_eq!(said(sandbox), ["True lower".to_owned(), format!("instance {number}")]);
        let own = fs::read_to_string(host.path().join(format!("{number}/upper/own"))).unwrap();
        assert_eq!(own, format!("instance {number}"));
    }
    drop(sandboxes);
    let after: Vec<_> = fs::read_dir(&layer).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(before, after);
}

#[test]
fn without_overlays_they_share_it_read_only() {
    let host = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let layer = host.path().join("layer");
    lay_out(&layer);
    // Everybody's, so that only the mount is in the way.
    fs::set_permissions(&layer, fs::Permissions::from_mode(0o777)).unwrap();
    let shown = |mount: fn(Source) -> Mount| {
        fs::create_dir_all(host.path().join("0/upper")).unwrap();
        fs::create_dir_all(host.path().join("0/work")).unwrap();
        said(&mut start(&instance(host.path(), 0, mount(Source::Path(layer.clone())))))
    };
    let read_only = shown(|from| Mount::ReadOnly { from, to: "/app".into() });
    assert_eq!(read_only, ["True lower", "Read-only file system"]);
    let writable = shown(|from| Mount::Writable { from, to: "/app".into() });
    assert_eq!(writable, ["True lower", "instance 0"], "mounted writable, all would share what one changes");
}

const HIDE: &str = "
import mmap, os, sys
def hidden(path, mib):
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(mib): os.write(file, bytes(1 << 20))
    os.fsync(file); os.unlink(path)
    return file
held = hidden('/app/held', 8); os.dup(held)
file = hidden('/app/mapped', 4); mapped = mmap.mmap(file, 4096); os.close(file)
memory = hidden('/tmp/memory', 3)
print('hidden', flush=True)
sys.stdin.read()";

/// A sandbox with a folder of its own, and what it printed first.
fn hiding(host: &Path, script: &str) -> (Sandbox, String) {
    lay_out(&host.join("layer"));
    let at = |name: &str| host.join(format!("0/{name}"));
    fs::create_dir_all(at("upper")).unwrap();
    fs::create_dir_all(at("work")).unwrap();
    let (upper, work) = (Source::Path(at("upper")), Source::Path(at("work")));
    let lower = vec![Source::Path(host.join("layer"))];
    let mut spec = instance(host, 0, Mount::Overlay { lower, upper, work, to: "/app".into() });
    spec.argv[2] = script.to_owned();
    let mut sandbox = start(&spec);
    let mut lines = BufReader::new(fs::File::from(sandbox.stdout.take().unwrap())).lines();
    let first = lines.next().unwrap().unwrap();
    (sandbox, first)
}

fn host() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

#[test]
fn files_without_a_name_are_found_where_a_walk_finds_nothing() {
    if Cgroups::own().usable().next().is_none() {
        return;
    }
    let host = host();
    let (mut sandbox, said) = hiding(host.path(), HIDE);
    assert_eq!(said, "hidden");
    let (walked, unlinked) = (disk_usage(&host.path().join("0/upper")).unwrap(), sandbox.unlinked());
    assert!(walked.bytes < 1 << 20, "{walked:?}");
    let found = unlinked.usage(Path::new("/app"));
    // Whoever may not look at mappings sees what is open.
    let least = if is_root() { 12 } else { 8 };
    assert!((least << 20..13 << 20).contains(&found.bytes) && found.inodes <= 2, "{found:?}");
    sandbox.kill();
    sandbox.wait().unwrap();
    assert_eq!(unlinked.usage(Path::new("/app")), DiskUsage::default());
}

/// A thread takes a table of descriptors of its own, and the first thread ends.
const HIDE_IN_A_THREAD: &str = "
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def hide():
    last = ctypes.c_uint(4000000000)
    assert libc.syscall(ctypes.c_long(436), last, last, ctypes.c_uint(2)) == 0, ctypes.get_errno()
    file = os.open('/app/held', os.O_RDWR | os.O_CREAT)
    for _ in range(8): os.write(file, bytes(1 << 20))
    os.fsync(file); os.unlink('/app/held')
    print('hidden', flush=True)
    sys.stdin.read()
threading.Thread(target=hide).start()
libc.syscall(60, 0)";

#[test]
fn files_that_a_thread_holds_for_itself_are_found() {
    if Cgroups::own().usable().next().is_none() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let host = host();
    let (mut sandbox, said) = hiding(host.path(), HIDE_IN_A_THREAD);
    assert_eq!(said, "hidden");
    let found = sandbox.unlinked().usage(Path::new("/app"));
    assert!((8 << 20..9 << 20).contains(&found.bytes) && found.inodes == 1, "{found:?}");
    sandbox.kill();
    sandbox.wait().unwrap();
}

const SEND: &str = "
import os, socket, sys
a, b = socket.socketpair()
file = os.open('/app/sent', os.O_RDWR | os.O_CREAT)
os.write(file, bytes(1 << 20)); os.unlink('/app/sent')
if SENDS:
    socket.send_fds(a, [b'x'], [file, file]); os.close(file)
print('sent', flush=True)
sys.stdin.read()";

#[test]
fn descriptors_on_their_way_are_counted_though_nobody_sees_what_they_are() {
    if Cgroups::own().usable().next().is_none() {
        return;
    }
    let places = [host(), host()];
    let (mut sending, _) = hiding(places[0].path(), &SEND.replace("SENDS", "True"));
    assert_eq!(sending.unlinked().usage(Path::new("/app")), DiskUsage::default(), "the gap that the count is for");
    assert_eq!(sending.unlinked().in_flight(), 2);
    let (mut keeping, _) = hiding(places[1].path(), &SEND.replace("SENDS", "False"));
    assert!(keeping.unlinked().usage(Path::new("/app")).bytes >= 1 << 20);
    assert_eq!(keeping.unlinked().in_flight(), 0);
    for sandbox in [&mut sending, &mut keeping] {
        sandbox.kill();
        sandbox.wait().unwrap();
    }
}
