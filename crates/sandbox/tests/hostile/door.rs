//! How the host comes in, and that nobody else does by the same way.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::AddressFamily;
use skylift_sandbox::Defence::{OwnDescriptors, OwnNetwork};
use skylift_sandbox::{Door, Exit, Family, Network, Sandbox, SpawnError, Spec, spawn};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

use crate::attack::{becomes_true, python, spec, start, without};

fn serving(script: &str, port: u16) -> Spec {
    let mut spec = python(script);
    spec.serves = Some(port);
    spec
}

/// Answers each connection with `name` and what it was sent.
fn echo(name: &str, family: &str, address: &str) -> String {
    format!(
        "
import socket
listener = socket.socket(socket.{family})
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('{address}', 8080)); listener.listen()
print('listens', flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b'{name} ' + connection.recv(100)); connection.close()"
    )
}

/// A sandbox whose payload has said `listens`.
fn listening(spec: &Spec) -> (Sandbox, Door, BufReader<std::fs::File>) {
    let mut sandbox = start(spec);
    let mut said = BufReader::new(std::fs::File::from(sandbox.stdout.take().unwrap()));
    assert_eq!(line(&mut said), "listens");
    let door = sandbox.door().unwrap();
    (sandbox, door, said)
}

fn line(said: &mut impl BufRead) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A socket of a door, as soon as there is one. Looks at the stock, too: somebody else may have fetched what came.
fn take(door: &Door, family: Family) -> std::io::Result<OwnedFd> {
    let none = |taken: &std::io::Result<OwnedFd>| taken.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
    let mut taken = door.take(family);
    let came = becomes_true(30, || {
        if none(&taken) {
            taken = door.take(family);
        }
        !none(&taken)
    });
    assert!(came, "no answer within 30 s");
    taken
}

/// Connects a socket of a door, as a host does: without blocking.
fn connect(socket: OwnedFd, address: SocketAddr) -> std::io::Result<TcpStream> {
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let mut watched = [PollFd::new(&socket, PollFlags::OUT)];
    assert_eq!(rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap(), 1);
    rustix::net::sockopt::socket_error(&socket)??;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn ask(door: &Door, family: Family, question: &str) -> std::io::Result<String> {
    let mut stream = connect(take(door, family)?, door.address(family))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_host_reaches_what_the_payload_listens_on() {
    let (_sandbox, door, _said) = listening(&serving(&echo("app", "AF_INET", "0.0.0.0"), 8080));
    for number in 0..30 {
        assert_eq!(ask(&door, Family::V4, &number.to_string()).unwrap(), format!("app {number}"));
    }
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let door = door.clone();
            std::thread::spawn(move || ask(&door, Family::V4, &format!("thread {thread}")).unwrap())
        })
        .collect();
    for (number, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap(), format!("app thread {number}"));
    }
    let refused = ask(&door, Family::V6, "hello").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "it does not listen there");
}

/// What the platform does: many tasks on one thread, each of which watches by itself.
async fn ask_from_a_task(door: Door, question: String) -> std::io::Result<String> {
    #[expect(deprecated, reason = "an owned descriptor stays open for as long as it is registered")]
    let watched = AsyncFd::with_interest(door.watch(Family::V4)?, Interest::READABLE)?;
    let socket = loop {
        match door.take(Family::V4) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            taken => break taken?,
        }
        watched.readable().await?.clear_ready();
    };
    let socket = tokio::net::TcpSocket::from_std_stream(socket.into());
    let mut stream = socket.connect(door.address(Family::V4)).await?;
    stream.write_all(question.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[test]
fn hundreds_of_tasks_at_once_are_all_served() {
    let (_sandbox, door, _said) = listening(&serving(&echo("app", "AF_INET", "0.0.0.0"), 8080));
    let many = |door: Door| async move {
        let ask = |number: usize| tokio::spawn(ask_from_a_task(door.clone(), number.to_string()));
        for (number, asked) in (0..100).map(ask).collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(asked.await.unwrap().unwrap(), format!("app {number}"));
        }
    };
    let on_a_thread_of_its_own = |door: Door| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || runtime.block_on(many(door)))
    };
    for thread in [door.clone(), door.clone(), door].map(on_a_thread_of_its_own) {
        thread.join().unwrap();
    }
}

#[test]
fn ipv6_is_there_for_the_asking() {
    let (_sandbox, door, _said) = listening(&serving(&echo("app", "AF_INET6", "::1"), 8080));
    for number in 0..10 {
        assert_eq!(ask(&door, Family::V6, &number.to_string()).unwrap(), format!("app {number}"));
    }
}

#[test]
fn a_spec_that_serves_nothing_has_no_door() {
    assert!(start(&python("pass")).door().is_none());
}

#[test]
fn a_door_leads_into_its_own_sandbox_and_nowhere_else() {
    let of_the_host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = of_the_host.local_addr().unwrap().port();
    let (_first, first, _) = listening(&serving(&echo("first", "AF_INET", "0.0.0.0"), 8080));
    let (_second, second, _) = listening(&serving(&echo("second", "AF_INET", "0.0.0.0"), 8080));
    for _ in 0..20 {
        assert_eq!(ask(&first, Family::V4, "x").unwrap(), "first x");
        assert_eq!(ask(&second, Family::V4, "x").unwrap(), "second x");
    }
    let refused = |door: &Door| connect(take(door, Family::V4).unwrap(), ([127, 0, 0, 1], port).into());
    assert!(refused(&first).is_err());

    let mut spec = without(spec(&["/bin/sleep", "100"]), &[OwnNetwork]);
    spec.serves = Some(port);
    let sandbox = start(&spec);
    refused(&sandbox.door().unwrap()).expect("without a network of its own it is the host's listener that answers");
    drop(of_the_host);
}

#[test]
fn nothing_is_handed_out_once_the_sandbox_has_ended() {
    let kinds = |door: &Door| [Family::V4, Family::V6].map(|family| door.take(family).unwrap_err().kind());
    let ended = [ErrorKind::NotConnected; 2];
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();

    let (mut sandbox, door, said) = listening(&serving(&echo("app", "AF_INET", "0.0.0.0"), 8080));
    let kept = door.clone();
    take(&door, Family::V4).unwrap();
    sandbox.kill();
    let mut watched = [PollFd::from_borrowed_fd(sandbox.pidfd(), PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap(), 1);
    assert_eq!(kinds(&door), ended, "before anybody has waited for it");
    sandbox.wait().unwrap();
    assert_eq!(kinds(&kept), ended);
    drop((sandbox, said));
    assert_eq!(descriptors(), before + 2, "only the door's own sockets are left");
    drop((door, kept));
    assert_eq!(descriptors(), before);
}

/// Looks for sockets among its own descriptors and those of others, and answers the host's questions with one of its
/// own wherever it finds one.
const IMPOSTOR: &str = r#"
import os, socket, stat, sys
def sockets(process):
    try: numbers = os.listdir(f'/proc/{process}/fd')
    except OSError: return
    for number in numbers:
        path = f'/proc/{process}/fd/{number}'
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode): yield process, int(number)
processes = [name for name in os.listdir('/proc') if name.isdigit() and name != str(os.getpid())]
found = [one for process in ['self', *processes] for one in sockets(process)]
mine, _ = socket.socketpair()
for process, number in found:
    if process == 'self':
        for _ in range(20): socket.send_fds(socket.socket(fileno=os.dup(number)), [b'"Made"'], [mine.fileno()])
print(len(found), flush=True)
sys.stdin.read()
"#;

#[test]
fn a_payload_cannot_stand_in_for_the_door() {
    let answered = |spec: Spec| {
        let mut spec = spec;
        spec.stdin = skylift_sandbox::Stdin::Pipe;
        let mut sandbox = start(&spec);
        let found = line(&mut BufReader::new(std::fs::File::from(sandbox.stdout.take().unwrap())));
        let door = sandbox.door().unwrap();
        let foreign = (0..20).filter(|_| {
            let socket = take(&door, Family::V4).unwrap();
            rustix::net::sockopt::socket_domain(&socket).unwrap() != AddressFamily::INET
        });
        (found, foreign.count())
    };
    assert_eq!(answered(serving(IMPOSTOR, 8080)), ("0".to_owned(), 0));
    let (found, foreign) = answered(without(serving(IMPOSTOR, 8080), &[OwnDescriptors]));
    assert_ne!(found, "0");
    assert!(foreign > 0, "with the door's descriptor it passes the host whatever it likes");
}

#[test]
fn a_payload_that_takes_all_it_can_get_does_not_hold_up_the_door() {
    let script = "
import os, signal, sys
processes = [os.getpid()]
try:
    while len(processes) < 50: processes.append(os.fork() or sys.exit(exec('while True: pass')))
except OSError: pass
print('listens', flush=True)
while True: pass";
    let mut spec = serving(script, 8080);
    (spec.limits.pids, spec.limits.cpu_millicores) = (20, 100);
    let (sandbox, door, _said) = listening(&spec);
    for _ in 0..50 {
        take(&door, Family::V4).unwrap();
    }
    // Nobody accepts: a connection is refused, and the next is made all the same.
    let refused = connect(take(&door, Family::V4).unwrap(), door.address(Family::V4)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    drop(sandbox);
}

/// Answers `out`, `proxy` and `self` with what it hears when it connects there itself.
const RELAYED: &str = "
import socket, socketserver
def hear(address):
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(b'hello'); return connection.recv(100)
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        asked = self.request.recv(100)
        if asked == b'out': answer = hear(('93.184.216.34', 443))
        elif asked == b'proxy': answer = hear(('127.0.0.1', 3128))
        elif asked == b'self': answer = hear(('127.0.0.1', 8080))
        else: answer = b'itself'
        self.request.sendall(answer)
server = socketserver.ThreadingTCPServer(('0.0.0.0', 8080), Handler)
print('listens', flush=True)
server.serve_forever()";

#[test]
fn an_app_behind_the_relay_is_reached_and_reaches_out() {
    let mut spec = serving(RELAYED, 8080);
    spec.network = Network::Relay { connect_port: 3128, ports: vec![443, 80, 22], dns: true };
    let (mut sandbox, door, _said) = listening(&spec);
    let relay = sandbox.relay.take().unwrap();
    let asked = |question: &str, listener: &OwnedFd| {
        let (door, question) = (door.clone(), question.to_owned());
        let asking = std::thread::spawn(move || ask(&door, Family::V4, &question).unwrap());
        let mut watched = [PollFd::new(listener, PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap(), 1);
        let (mut connection, _) = TcpListener::from(listener.try_clone().unwrap()).accept().unwrap();
        connection.set_nonblocking(false).unwrap();
        connection.read_exact(&mut [0; 5]).unwrap();
        connection.write_all(crate::network::asked_for(&connection).to_string().as_bytes()).unwrap();
        asking.join().unwrap()
    };
    let https = relay.tcp.iter().find(|(port, _)| *port == 443).map(|(_, socket)| socket).unwrap();
    assert_eq!(asked("out", https), "93.184.216.34:443");
    assert_eq!(asked("proxy", &relay.connect), "127.0.0.1:3128");
    assert_eq!(ask(&door, Family::V4, "self").unwrap(), "itself");
}

#[test]
fn a_port_of_the_relay_cannot_be_served() {
    for port in [443, 3128] {
        let mut spec = serving("pass", port);
        spec.network = Network::Relay { connect_port: 3128, ports: vec![443], dns: false };
        assert!(matches!(spawn(&spec), Err(SpawnError::PortTaken { port: told }) if told == port));
        spec.network = Network::None;
        assert_eq!(start(&spec).wait().unwrap().exit, Exit::Code(0));
    }
}
