//! Sandboxes that are made ahead.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use skylift_sandbox::{Exit, Limits, Mount, Order, Prepared, Sandbox, Scratch, SpawnError, Spec, prepare};

use crate::attack::{becomes_true, spec};
use crate::leaks::groups;

const BOX: &str = "/box";

/// With a folder of its own, which is held.
fn ahead() -> Spec {
    let mut spec = spec(&[]);
    spec.mounts.push(Mount::Tmpfs { to: BOX.into(), scratch: Scratch { bytes: 1 << 20, inodes: 100 } });
    spec.holds = Some(BOX.into());
    spec
}

fn order(spec: &Spec, argv: &[&str]) -> Order {
    Order {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: spec.env.clone(),
        cwd: BOX.into(),
        limits: spec.limits,
    }
}

fn put(prepared: &Prepared, name: &str, text: &str) {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(prepared.folder(), name, flags, Mode::from_raw_mode(0o644)).unwrap();
    File::from(file).write_all(text.as_bytes()).unwrap();
}

/// As the host looks at what is left: no link is followed, and nothing outside is reached.
fn left(folder: impl AsFd, name: &str) -> Result<String, rustix::io::Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).unwrap();
    Ok(text)
}

fn said((mut sandbox, folder): (Sandbox, OwnedFd)) -> (String, Exit, OwnedFd) {
    let mut said = String::new();
    File::from(sandbox.stdout.take().unwrap()).read_to_string(&mut said).unwrap();
    let exit = sandbox.wait().unwrap().exit;
    (said.trim().to_owned(), exit, folder)
}

#[test]
fn what_is_put_into_one_is_run_and_what_it_leaves_is_read_after_its_end() {
    let spec = ahead();
    let prepared = prepare(&spec).unwrap();
    put(&prepared, "main.sh", "cat given; echo made > result; ln -s /etc/passwd link; pwd");
    put(&prepared, "given", "given");
    let (said, exit, folder) = said(prepared.start(&order(&spec, &["/bin/sh", "main.sh"])).unwrap());
    assert_eq!((said.as_str(), exit), ("given/box", Exit::Code(0)));
    assert_eq!(left(&folder, "result").unwrap(), "made\n");
    assert_eq!(left(&folder, "link").unwrap_err(), rustix::io::Errno::LOOP);
    assert_eq!(left(&folder, "../etc/passwd").unwrap_err(), rustix::io::Errno::XDEV);
}

#[test]
fn its_limits_may_be_others_than_it_was_made_with() {
    let spec = ahead();
    let limits = Limits { open_files: 20, ..spec.limits };
    let order = Order { limits, ..order(&spec, &["/bin/sh", "-c", "ulimit -n"]) };
    let started = prepare(&spec).unwrap().start(&order).unwrap();
    assert_eq!(said(started).0, "20");
    for memory_bytes in [spec.limits.memory_bytes * 2, spec.limits.memory_bytes / 2] {
        let order = Order { limits: Limits { memory_bytes, ..limits }, ..order.clone() };
        assert_eq!(said(prepare(&spec).unwrap().start(&order).unwrap()).0, "20", "{memory_bytes}");
    }
}

#[test]
fn one_that_nobody_starts_is_gone_once_it_is_dropped() {
    let prefix = format!("skylift-ahead-{}", std::process::id());
    let spec = Spec { group_prefix: prefix.clone(), ..ahead() };
    let there = || groups(Path::new("/sys/fs/cgroup"), &prefix);
    drop(prepare(&spec).unwrap());
    assert!(becomes_true(10, || there() == 0), "{} groups", there());
}

#[test]
fn what_cannot_be_run_is_told_and_a_spec_without_a_folder_is_refused() {
    let spec = ahead();
    let error = prepare(&spec).unwrap().start(&order(&spec, &["/no/such/program"])).unwrap_err();
    assert!(matches!(error, SpawnError::NotExecutable { .. }), "{error:?}");
    assert!(matches!(prepare(&crate::attack::spec(&["/bin/true"])).unwrap_err(), SpawnError::HoldsNothing));
}
