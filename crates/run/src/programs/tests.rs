use skylift_model::run::{RunStatus, Usage};

use super::*;

fn built(text: &str) -> Built {
    let step = Step {
        status: RunStatus::Ok,
        exit_code: Some(0),
        signal: None,
        stdout: b"said".to_vec(),
        stderr: vec![0xff, 0],
        stdout_truncated: false,
        stderr_truncated: true,
        usage: Usage { cpu_us: 1, wall_us: 2, peak_memory_bytes: 3 },
    };
    let file = |path: &str, bytes: &[u8]| File { path: path.parse().unwrap(), bytes: bytes.to_vec() };
    Built { step, files: vec![file(".built/program", text.as_bytes()), file(".built/empty", b"")] }
}

fn names(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn what_is_kept_is_found_as_it_was_also_after_another_start() {
    let home = tempfile::tempdir().unwrap();
    let programs = Programs::open(home.path(), 1 << 20).unwrap();
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    assert_eq!(programs.find(&one), None);
    programs.keep(&one, &built("program"));
    assert_eq!(programs.find(&one), Some(built("program")));
    assert_eq!(programs.find(&other), None);
    drop(programs);
    // Half written by a process that was killed, and what is no key at all.
    fs::write(home.path().join("partial-0"), "x").unwrap();
    fs::write(home.path().join("../etc".replace('/', "")), "x").unwrap();
    let programs = Programs::open(home.path(), 1 << 20).unwrap();
    assert_eq!(names(home.path()), 1);
    assert_eq!(programs.find(&one), Some(built("program")));
}

#[test]
fn what_was_changed_on_the_disk_is_not_given_out() {
    let home = tempfile::tempdir().unwrap();
    let programs = Programs::open(home.path(), 1 << 20).unwrap();
    let key = Digest::of(b"key");
    let path = home.path().join(key.to_string());
    programs.keep(&key, &built("program"));
    let whole = fs::read(&path).unwrap();
    let changes: [fn(&mut Vec<u8>); 4] =
        [|bytes| *bytes.last_mut().unwrap() ^= 1, |bytes| bytes.truncate(40), Vec::clear, |bytes| bytes.push(0)];
    for change in changes {
        programs.keep(&key, &built("program"));
        assert_eq!(programs.find(&key), Some(built("program")));
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        assert_eq!(programs.find(&key), None);
        assert!(!path.exists());
    }
}

#[test]
fn no_more_is_kept_than_there_may_be() {
    let home = tempfile::tempdir().unwrap();
    let one = built(&"x".repeat(1000));
    let length = entry::bytes(&one).len() as u64;
    let programs = Programs::open(home.path(), 5 * length).unwrap();
    let keys: Vec<Digest> = (0..6_u8).map(|number| Digest::of(&[number])).collect();
    for key in &keys {
        programs.keep(key, &one);
        // The first is used all the while.
        assert!(programs.find(&keys[0]).is_some());
    }
    let held: u64 = fs::read_dir(home.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(held, 5 * length);
    assert!(programs.find(&keys[1]).is_none() && programs.find(&keys[5]).is_some());
    drop(programs);
    // With less room after the next start what was used last stays.
    let used_last = fs::File::options().write(true).open(home.path().join(keys[3].to_string())).unwrap();
    used_last.set_modified(SystemTime::now() + std::time::Duration::from_secs(60)).unwrap();
    let programs = Programs::open(home.path(), length).unwrap();
    assert_eq!(names(home.path()), 1);
    assert!(programs.find(&keys[3]).is_some());
    programs.keep(&keys[1], &one);
    assert!(programs.find(&keys[1]).is_none(), "it alone would push out all else");
}

#[test]
fn a_use_counts_also_after_another_start() {
    let home = tempfile::tempdir().unwrap();
    let programs = Programs::open(home.path(), 1 << 20).unwrap();
    let key = Digest::of(b"key");
    programs.keep(&key, &built("program"));
    let path = home.path().join(key.to_string());
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert!(programs.find(&key).is_some());
    assert_ne!(path.metadata().unwrap().modified().unwrap(), SystemTime::UNIX_EPOCH);
}
