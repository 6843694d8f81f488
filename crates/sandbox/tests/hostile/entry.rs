//! Lets the test executable be started again as `sandbox-init`, or as a host that is to be killed, before the test
//! harness sees its arguments.

use std::io::Write;
use std::process::Command;

use skylift_sandbox::Defence;

use crate::attack::{python, start, without};
use crate::cells::{Forks, cell, pid};

#[expect(unsafe_code, reason = "there is no safe way to run before the harness's main")]
// SAFETY: the section holds pointers to functions of this type, which the C library calls once before main, with one
// thread; the standard library's arguments are set up by an earlier entry of the same section.
#[unsafe(link_section = ".init_array.90000")]
#[used]
static ENTRY: extern "C" fn() = {
    extern "C" fn entry() {
        match std::env::args().nth(1).as_deref() {
            Some("sandbox-init") => skylift_sandbox::init_main(),
            Some("be-a-host") => be_a_host(),
            Some("start-a-command") => start_a_command(),
            Some("have-a-zygote") => have_a_zygote(),
            _ => {}
        }
    }
    entry
};

/// A host with one sandbox, in which a process waits that has the given marker. Says that it runs, and waits.
fn be_a_host() -> ! {
    let argument = |number| std::env::args().nth(number).unwrap();
    let mut spec = python("import time; time.sleep(100)");
    spec.argv.push(argument(2));
    if argument(3) == "without-lifeline" {
        spec = without(spec, &[Defence::Lifeline]);
    }
    let sandbox = start(&spec);
    std::io::stdout().write_all(b"runs\n").unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(sandbox);
    std::process::exit(0)
}

/// A host with a nursery, a zygote and a program that it has forked. Says their numbers, and waits.
fn have_a_zygote() -> ! {
    let tied = std::env::args().nth(2).as_deref() == Some("with-lifeline");
    let forks = if tied { Forks::new(cell()) } else { Forks::without(&[Defence::Lifeline]) };
    let sandbox = forks.start("import time; time.sleep(100)");
    let numbers = [forks.nursery.pidfd(), forks.zygote.pidfd(), sandbox.pidfd()].map(pid);
    std::io::stdout().write_all(format!("{numbers:?}\n").as_bytes()).unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(sandbox);
    std::process::exit(0)
}

/// A host that starts a command outside any sandbox, tied to it or not, and waits for it.
fn start_a_command() -> ! {
    let argument = |number| std::env::args().nth(number).unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", "import time; print('runs', flush=True); time.sleep(100)", &argument(2)]);
    if argument(3) == "tied" {
        skylift_sandbox::tie(&mut command);
    }
    let ended = command.status();
    std::process::exit(i32::from(ended.is_err()))
}
