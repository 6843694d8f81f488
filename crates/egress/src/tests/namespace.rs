//! The way out of a real network namespace, in which every address leads to the gateway's listeners.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, io, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::guest::{Setting, question, read_answer};
use super::internet::{Internet, listens_to_the_end};
use crate::Sockets;
use crate::dns::Names;

/// A network namespace that lives as long as the process that holds it.
struct Namespace(Child);

impl Namespace {
    /// `None`, and why on stderr, where this user may not make one.
    fn new() -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        // What `cat` gives back tells that it runs, and so that the namespace exists.
        let _gone = holder.stdin.as_mut()?.write_all(b"!");
        let mut byte = [0];
        let made = holder.stdout.as_mut()?.read_exact(&mut byte);
        let namespace = Self(holder);
        made.ok().map(|()| namespace)
    }

    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let handle = fs::File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        let inside = || {
            move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

fn sockets() -> Sockets {
    ip(&["link", "set", "lo", "up"]);
    ip(&["route", "add", "local", "0.0.0.0/0", "dev", "lo"]);
    ip(&["-6", "route", "add", "local", "::/0", "dev", "lo"]);
    Sockets {
        connect: TcpListener::bind("127.0.0.1:3128").unwrap(),
        // One listener for both families, so that IPv4 destinations come in IPv6 spelling.
        tcp: vec![(443, TcpListener::bind("[::]:443").unwrap())],
        passages: Vec::new(),
        dns: vec![UdpSocket::bind("127.0.0.1:53").unwrap()],
    }
}

fn ask(name: &str) -> (u8, Option<std::net::Ipv4Addr>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&question(name, 1), "127.0.0.1:53").unwrap();
    let mut answer = [0; 600];
    let length = socket.recv(&mut answer).unwrap();
    read_answer(&answer[..length])
}

fn visit(destination: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(destination)?;
    // Fails as "not connected" after a reset, which is then what the read reports.
    let _maybe_reset = stream.shutdown(Shutdown::Write);
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_knows_of_no_proxy_gets_out_to_public_hosts_alone() {
    let Some(namespace) = Namespace::new() else {
        let mut stderr = io::stderr();
        writeln!(stderr, "SKIPPED: making a network namespace needs root and `unshare`").unwrap();
        return;
    };
    let server = listens_to_the_end().await;
    let internet = Internet::new()
        .name("a.example", &["203.0.113.7"])
        .name("evil.example", &["169.254.169.254"])
        .host("203.0.113.7:443", server)
        .host("203.0.113.8:443", server)
        .host("[2001:db8::8]:443", server);
    let (gateway, said) = Setting::before(&internet).serve(Names::default(), namespace.run(sockets));

    let visits = tokio::task::spawn_blocking(move || {
        namespace.run(|| {
            let by_name = ask("a.example").1.unwrap();
            assert_eq!(by_name.octets()[..2], [198, 18]);
            for reached in [&format!("{by_name}:443"), "203.0.113.8:443", "[2001:db8::8]:443"] {
                assert_eq!(visit(reached).unwrap(), "heard 0: ", "{reached}");
            }
            let evil = ask("evil.example").1.unwrap();
            for refused in [
                &format!("{evil}:443"),
                "10.0.0.5:443",
                "169.254.169.254:443",
                "127.0.0.1:443",
                "198.19.0.1:443",
                "[fd00:ec2::254]:443",
                "[::1]:443",
            ] {
                assert_eq!(visit(refused).unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{refused}");
            }
        });
    });
    visits.await.unwrap();
    assert_eq!(internet.connected(), ["203.0.113.7:443", "203.0.113.8:443", "[2001:db8::8]:443"]);
    assert_eq!(gateway.counters().refused, 7);
    assert_eq!(said.lock().unwrap().len(), 7);
}
