//! What a sandbox must let a build do.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use rustix::fs::StatVfsMountFlags;
use skylift_sandbox::{Exit, Mount, Scratch, Source, SpawnError, Spec, Stdin, spawn};

use crate::attack::{UID, python, run, spec, start};

#[test]
fn a_program_runs_and_its_end_is_told() {
    let end = |script: &str| run(&spec(&["/bin/sh", "-c", script])).outcome.exit;
    assert_eq!(end("exit 0"), Exit::Code(0));
    assert_eq!(end("exit 255"), Exit::Code(255));
    assert_eq!(end("kill -SEGV $$"), Exit::Signal(11));
}

#[test]
fn a_missing_program_is_told_apart_from_a_broken_sandbox() {
    let error = spawn(&Spec::new(["no-such-program"])).unwrap_err();
    assert!(matches!(error, SpawnError::NotExecutable { source, .. } if source.raw_os_error() == Some(2)));
    let mut spec = Spec::new(["/bin/true"]);
    spec.mounts.push(Mount::ReadOnly { from: Source::Path("/no/such/folder".into()), to: "/given".into() });
    let SpawnError::SetUp { message } = spawn(&spec).unwrap_err() else { panic!("another error") };
    assert_eq!(message, "open /no/such/folder: No such file or directory (os error 2)");
}

#[test]
fn nothing_runs_as_root() {
    let mut spec = Spec::new(["/bin/true"]);
    spec.uid = 0;
    assert!(matches!(spawn(&spec), Err(SpawnError::Root)));
}

#[test]
fn the_tools_of_builds_run() {
    let said = |argv: &[&str]| {
        let mut spec = spec(argv);
        spec.env.insert("HOME".into(), "/tmp".into());
        spec.limits.memory_bytes = 1 << 30;
        let ended = run(&spec);
        assert_eq!(ended.outcome.exit, Exit::Code(0), "{argv:?}: {}", ended.said);
        ended.said
    };
    assert_eq!(said(&["node", "-e", "console.log(6 * 7)"]), "42");
    assert!(said(&["npm", "--version"]).split('.').count() == 3);
    assert!(said(&["git", "--version"]).starts_with("git version"));
    assert_eq!(said(&["node", "-e", "console.log(Object.keys(os.networkInterfaces()).join())"]), "lo");
    assert_ne!(said(&["node", "-e", "console.log(os.cpus().length)"]), "0");
}

#[test]
fn standard_input_is_passed_and_streams_can_be_opened_by_name() {
    use std::io::{Read, Write};
    let mut spec = spec(&["/bin/sh", "-c", "cat /dev/stdin > /dev/stdout; echo done > /dev/stderr"]);
    spec.stdin = Stdin::Pipe;
    let mut sandbox = start(&spec);
    fs::File::from(sandbox.stdin.take().unwrap()).write_all(b"hello\n").unwrap();
    let mut said = String::new();
    fs::File::from(sandbox.stdout.take().unwrap()).read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello\ndone\n");
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Code(0));
}

#[test]
fn folders_are_mounted_read_only_writable_in_memory_and_as_overlay() {
    let host = tempfile::tempdir().unwrap();
    for name in ["shown", "given", "lower", "upper", "work"] {
        fs::create_dir(host.path().join(name)).unwrap();
    }
    fs::write(host.path().join("shown/file"), "shown").unwrap();
    fs::write(host.path().join("lower/file"), "lower").unwrap();
    if rustix::process::geteuid().is_root() {
        for name in ["given", "lower", "lower/file", "upper", "work"] {
            std::os::unix::fs::chown(host.path().join(name), Some(UID), Some(UID)).unwrap();
        }
    }
    let from = |name: &str| Source::Path(host.path().join(name));

    let mut spec = python(
        "import os\n\
         def attempt(path):\n\
         \x20   try: open(path, 'w').write('new'); return 'written'\n\
         \x20   except OSError as error: return error.strerror\n\
         print(open('/shown/file').read(), attempt('/shown/file'), attempt('/given/file'), attempt('/deep/memory/file'),\n\
         \x20     open('/over/file').read(), attempt('/over/file'), attempt('/over/other'), attempt('/self'), sep='; ')",
    );
    let mut mount = |mount| spec.mounts.push(mount);
    mount(Mount::ReadOnly { from: from("shown"), to: "/shown".into() });
    mount(Mount::Writable { from: from("given"), to: "/given".into() });
    mount(Mount::Tmpfs { to: "/deep/memory".into(), scratch: Scratch { bytes: 1 << 20, inodes: 10 } });
    let (upper, work) = (from("upper"), from("work"));
    mount(Mount::Overlay { lower: vec![from("lower")], upper, work, to: "/over".into() });
    mount(Mount::SelfExe { to: "/self".into() });
    assert_eq!(
        run(&spec).said,
        "shown; Read-only file system; written; written; lower; written; written; Read-only file system"
    );
    assert_eq!(fs::read_to_string(host.path().join("given/file")).unwrap(), "new");
    assert_eq!(fs::read_to_string(host.path().join("lower/file")).unwrap(), "lower");
    assert_eq!(fs::read_to_string(host.path().join("upper/other")).unwrap(), "new");
}

#[test]
fn our_own_executable_can_be_the_payload() {
    let mut spec = spec(&["/self", "--list"]);
    spec.mounts.push(Mount::SelfExe { to: "/self".into() });
    assert!(run(&spec).said.contains("our_own_executable_can_be_the_payload: test"));
}

/// An upgrade puts a new file in the place of the one that runs: what was started goes on all the same, and nothing writes to it.
#[test]
fn our_own_executable_can_be_the_payload_once_its_file_is_gone() {
    const LOOKS: &str = "SKYLIFT_TEST_LOOKS_AT_ITSELF";
    let name = "confined::our_own_executable_can_be_the_payload_once_its_file_is_gone";
    let own = std::env::current_exe().unwrap();
    if std::env::var_os(LOOKS).is_some() {
        // Whoever tries to write is told that it runs, so the mount itself is asked.
        let shown = rustix::fs::statvfs("/proc/self/exe").unwrap().f_flag;
        assert!(shown.contains(StatVfsMountFlags::RDONLY | StatVfsMountFlags::NOSUID), "{shown:?}");
        return;
    }
    if own.file_name().is_some_and(|file| file == "replaced") {
        fs::remove_file(&own).unwrap();
        let mut spec = spec(&["/self", "--exact", name]);
        spec.mounts.push(Mount::SelfExe { to: "/self".into() });
        spec.env.insert(LOOKS.to_owned(), "1".to_owned());
        if !rustix::process::geteuid().is_root() {
            let refused = spawn(&spec).unwrap_err().to_string();
            return assert!(refused.contains("os error 2") || refused.contains("replaced"), "{refused}");
        }
        let ran = run(&spec);
        assert!(ran.said.contains("1 passed"), "{}", ran.said);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("replaced");
    fs::copy(own, &copy).unwrap();
    let ran = std::process::Command::new(&copy).args(["--exact", name, "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("1 passed") && !copy.exists(), "{said}");
}

#[test]
fn a_passed_descriptor_is_mounted_whatever_its_path_has_become() {
    let host = tempfile::tempdir().unwrap();
    let folder = host.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(host.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(folder.join("file"), "meant").unwrap();
    let spec_with_folder = || {
        let mut spec = spec(&["/bin/cat", "/given/file"]);
        let from = spec.pass(fs::File::open(&folder).unwrap().into());
        spec.mounts.push(Mount::ReadOnly { from, to: "/given".into() });
        spec
    };
    assert_eq!(run(&spec_with_folder()).said, "meant");

    let spec = spec_with_folder();
    let inode = folder.metadata().unwrap().ino();
    fs::rename(&folder, host.path().join("elsewhere")).unwrap();
    assert_eq!(run(&spec).said, "meant", "the same folder under another name");
    assert_eq!(host.path().join("elsewhere").metadata().unwrap().ino(), inode);
}

#[test]
fn a_link_in_the_way_to_a_mount_point_is_not_followed() {
    let host = tempfile::tempdir().unwrap();
    symlink("/etc", host.path().join("link")).unwrap();
    let mut spec = spec(&["/bin/true"]);
    spec.mounts = vec![
        Mount::Writable { from: Source::Path(host.path().into()), to: "/given".into() },
        Mount::Tmpfs { to: "/given/link/deeper".into(), scratch: Scratch { bytes: 1 << 20, inodes: 10 } },
    ];
    let SpawnError::SetUp { message } = spawn(&spec).unwrap_err() else { panic!("another error") };
    assert!(message.starts_with("make the mount point /given/link/deeper: "), "{message}");

    fs::remove_file(host.path().join("link")).unwrap();
    assert_eq!(run(&spec).outcome.exit, Exit::Code(0), "without the link it is made");
}
