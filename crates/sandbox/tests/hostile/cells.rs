//! Making sandboxes by a nursery and running programs in them by a zygote, of Python where nothing else is said, for the tests of all.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use skylift_sandbox::{
    Defence, Mount, Nursery, Order, Outcome, Parked, Prepared, Range, Sandbox, Scratch, Spec, Zygote, ZygoteSpec,
};

use crate::attack::{Ended, spec};

pub(crate) const BOX: &str = "/box";

/// With a folder of its own, which is held.
pub(crate) fn cell() -> Spec {
    let mut spec = spec(&[]);
    spec.mounts.push(Mount::Tmpfs { to: BOX.into(), scratch: Scratch { bytes: 1 << 20, inodes: 100 } });
    spec.holds = Some(BOX.into());
    spec
}

pub(crate) fn order(spec: &Spec, argv: &[&str]) -> Order {
    Order {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: spec.env.clone(),
        cwd: BOX.into(),
        limits: spec.limits,
    }
}

pub(crate) fn put(folder: BorrowedFd<'_>, name: &str, text: &str) {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o644)).unwrap();
    File::from(file).write_all(text.as_bytes()).unwrap();
}

/// A nursery and a zygote for sandboxes that are alike.
pub(crate) struct Forks {
    pub(crate) like: Spec,
    pub(crate) nursery: Nursery,
    pub(crate) zygote: Zygote,
    /// What the program's file is called.
    pub(crate) file: &'static str,
}

impl Forks {
    pub(crate) fn new(like: Spec) -> Self {
        let nursery = Nursery::start(&like).unwrap_or_else(|error| panic!("{error:?}"));
        let zygote = zygote(&nursery);
        Self { like, nursery, zygote, file: "main.py" }
    }

    /// Of Node.
    pub(crate) fn node(like: Spec) -> Self {
        let nursery = Nursery::start(&like).unwrap_or_else(|error| panic!("{error:?}"));
        let zygote = start_zygote(&nursery, ZygoteSpec::node().unwrap());
        Self { like, nursery, zygote, file: "main.js" }
    }

    pub(crate) fn without(defences: &[Defence]) -> Self {
        let mut like = cell();
        like.weaken.extend(defences);
        Self::new(like)
    }

    pub(crate) fn parked(&self, program: &str) -> Parked {
        self.parked_as(&self.like, program)
    }

    pub(crate) fn parked_as(&self, spec: &Spec, program: &str) -> Parked {
        let prepared: Prepared = self.nursery.prepare(spec).unwrap_or_else(|error| panic!("{error:?}"));
        put(prepared.folder(), self.file, program);
        self.zygote.enter(prepared).unwrap_or_else(|error| panic!("{error:?}"))
    }

    pub(crate) fn start(&self, program: &str) -> Sandbox {
        self.parked(program).start(&order(&self.like, &[self.file])).unwrap().0
    }

    pub(crate) fn run(&self, program: &str) -> Ended {
        to_the_end(self.start(program))
    }

    /// With other limits, say.
    pub(crate) fn run_as(&self, spec: &Spec, program: &str) -> Ended {
        to_the_end(self.parked_as(spec, program).start(&order(spec, &[self.file])).unwrap().0)
    }

    /// How many bytes of what it shared a program writes to until it waits for input, and where; it has said something by then.
    fn writes(&self, program: &str) -> (u64, Vec<Range>) {
        let parked = self.parked(program);
        let before = parked.own_pages().unwrap();
        let (mut sandbox, _folder) = parked.start(&order(&self.like, &[self.file])).unwrap();
        assert_eq!(File::from(sandbox.stdout.take().unwrap()).read(&mut [0; 5]).unwrap(), 5);
        let ranges = sandbox.own_pages().unwrap().since(&before);
        (ranges.iter().map(Range::bytes).sum(), ranges)
    }

    /// Programs that start once it is known where they write to have nearly all of that before.
    pub(crate) fn copies_early(&self, program: &str) {
        let (of_first, ranges) = self.writes(program);
        let (of_second, _) = self.writes(program);
        self.zygote.expect_writes(&ranges).unwrap();
        let (of_third, _) = self.writes(program);
        assert!(of_second > of_first / 2, "what one copies is no other's: {of_first} {of_second}");
        assert!(of_third < of_first / 4, "{of_first} {of_second} {of_third}");
    }
}

pub(crate) fn zygote(nursery: &Nursery) -> Zygote {
    start_zygote(nursery, ZygoteSpec::python().unwrap())
}

fn start_zygote(nursery: &Nursery, spec: ZygoteSpec) -> Zygote {
    let spec = ZygoteSpec { group_prefix: "skylift-test".into(), ..spec };
    Zygote::start(nursery, &spec).unwrap_or_else(|error| panic!("{error:?}"))
}

pub(crate) fn to_the_end(mut sandbox: Sandbox) -> Ended {
    let mut said = Vec::new();
    File::from(sandbox.stdout.take().unwrap()).read_to_end(&mut said).unwrap();
    let outcome: Outcome = sandbox.wait().unwrap();
    Ended { outcome, said: String::from_utf8_lossy(&said).trim().to_owned() }
}

/// The number of the process that a pidfd names.
pub(crate) fn pid(pidfd: BorrowedFd<'_>) -> u32 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().parse().unwrap()
}

pub(crate) fn kill(pidfd: BorrowedFd<'_>) {
    rustix::process::pidfd_send_signal(pidfd, Signal::KILL).unwrap();
}

/// Whether it has ended, be it reaped or not.
pub(crate) fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, Some(Some(state)) if state != 'Z') || Pid::from_raw(pid.cast_signed()).is_none()
}
