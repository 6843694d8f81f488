//! What a sandbox costs an app: the time to its first answer beside that of the bare process, and the memory of our two
//! processes, for this executable and for others that are named, such as the platform's; all take turns. Prints; asserts
//! nothing.
//!
//! `cargo run --release -p skylift-sandbox --example instance_cost -- [rounds [executable…]]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that is run by hand")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use skylift_sandbox::{Door, Family, InitFile, Mount, Network, Sandbox, Source, Spec, spawn};

/// A server small enough that what is around it counts.
const APP: &str = "
import socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', int(sys.argv[1]))); listener.listen()
while True:
    connection, _ = listener.accept()
    connection.recv(1); connection.sendall(b'x'); connection.close()";
const PYTHON: &str = "/usr/bin/python3";
const PORT: u16 = 18_080;
const OWN: &str = "/proc/self/exe";

fn main() {
    if std::env::args().nth(1).as_deref() == Some("sandbox-init") {
        skylift_sandbox::init_main();
    }
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(30);
    let executables: Vec<String> = std::iter::once(OWN.to_owned()).chain(std::env::args().skip(2)).collect();
    let inits: Vec<InitFile> =
        executables.iter().map(|path| InitFile::new(&fs::read(path).unwrap()).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut bare = Vec::new();
    let mut inside: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); inits.len()];
    for _ in 0..rounds {
        bare.push(bare_process());
        for (init, (spawning, answers)) in inits.iter().zip(&mut inside) {
            let (spawned, answered) = sandboxed(folder.path(), init);
            spawning.push(spawned);
            answers.push(answered);
        }
    }
    let bare = median(&mut bare);
    println!("first answer of the bare process: {bare:.1} ms; {rounds} rounds, medians");
    for ((path, init), (spawning, answers)) in executables.iter().zip(&inits).zip(&mut inside) {
        let (spawned, answered) = (median(spawning), median(answers));
        println!("{path}: first answer {answered:.1} ms, difference {:.1} ms", answered - bare);
        println!("  of that until spawn returned: {spawned:.1} ms");
        memory(init);
    }
}

fn bare_process() -> f64 {
    let began = Instant::now();
    let mut child: Child = Command::new(PYTHON)
        .args(["-I", "-c", APP, &PORT.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_it_answers(|| TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], PORT))));
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    milliseconds(took)
}

fn sandboxed(folder: &Path, init: &InitFile) -> (f64, f64) {
    let began = Instant::now();
    let (sandbox, door) = instance(folder, init);
    let spawned = began.elapsed();
    until_it_answers(|| connect(&door));
    let answered = began.elapsed();
    drop(sandbox);
    (milliseconds(spawned), milliseconds(answered))
}

fn instance(folder: &Path, init: &InitFile) -> (Sandbox, Door) {
    let mut spec = Spec::new([PYTHON, "-I", "-c", APP, &PORT.to_string()]);
    spec.init = Some(init.clone());
    if !rustix::process::geteuid().is_root() {
        spec.uid = 1000;
    }
    spec.serves = Some(PORT);
    spec.network = relayed();
    let parts = ["lower", "upper", "work"].map(|name| folder.join(name));
    for part in &parts {
        fs::create_dir_all(part).unwrap();
    }
    let [lower, upper, work] = parts.map(Source::Path);
    spec.mounts.push(Mount::Overlay { lower: vec![lower], upper, work, to: "/app".into() });
    let sandbox = spawn(&spec).unwrap();
    let door = sandbox.door().unwrap();
    (sandbox, door)
}

fn relayed() -> Network {
    Network::Relay { connect_port: 3128, ports: vec![443, 80, 22], dns: true }
}

fn until_it_answers(connect: impl Fn() -> std::io::Result<TcpStream>) {
    loop {
        if let Ok(mut stream) = connect()
            && stream.write_all(b"x").is_ok()
            && matches!(stream.read(&mut [0]), Ok(1))
        {
            return;
        }
        let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 200_000 };
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
}

fn connect(door: &Door) -> std::io::Result<TcpStream> {
    let socket: OwnedFd = door.take(Family::V4)?;
    match rustix::net::connect(&socket, &door.address(Family::V4)) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::event::poll(&mut [PollFd::new(&socket, PollFlags::OUT)], None)?;
    rustix::net::sockopt::socket_error(&socket)??;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Of the watcher and PID 1 of each of ten idle sandboxes, which `init` becomes.
fn memory(init: &InitFile) {
    const MANY: usize = 10;
    let mut spec = Spec::new(["/bin/sleep", "1000"]);
    spec.serves = Some(PORT);
    spec.network = relayed();
    spec.init = Some(init.clone());
    let sandboxes: Vec<_> = (0..MANY).map(|_| spawn(&spec).unwrap()).collect();
    // What they are forked from is the watcher; PID 1 is its child, and the payload PID 1's.
    let watchers = children(std::process::id());
    let ours: Vec<u32> = watchers.into_iter().flat_map(|watcher| [vec![watcher], children(watcher)].concat()).collect();
    let mean = |field: &str| ours.iter().map(|pid| of(*pid, field)).sum::<u64>() / MANY as u64;
    println!("  watcher and PID 1 together, in KiB, the mean of {MANY}:");
    for field in ["Pss", "Pss_Anon", "Pss_File", "Private_Dirty"] {
        println!("    {field} {}", mean(field));
    }
    println!("  most of it, in the watcher:\n{}", mappings(ours[0]));
    drop(sandboxes);
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    children.collect::<String>().split_whitespace().map(|child| child.parse().unwrap()).collect()
}

fn of(pid: u32, field: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    kib(&rollup, field)
}

fn kib(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn mappings(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut found: Vec<(u64, String)> = Vec::new();
    for line in text.lines() {
        if line.split(' ').next().is_some_and(|first| first.contains('-')) {
            found.push((0, line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")));
        } else if let (Some(last), true) = (found.last_mut(), line.starts_with("Pss:")) {
            last.0 = kib(line, "Pss");
        }
    }
    found.sort_unstable();
    found.iter().rev().take(8).map(|(size, name)| format!("{size:>6} {name}\n")).collect()
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
