//! One port inside that the host answers: it is reached, and nothing else is.

use std::io::{Read, Write};
use std::net::TcpListener;

use rustix::event::{PollFd, PollFlags, Timespec};
use skylift_sandbox::{Network, Nursery, Prepared, Relay, Sandbox, SpawnError, Spec, prepare, spawn};

use crate::attack::spec;
use crate::cells::{cell, order, put, to_the_end, zygote};

const PORT: u16 = 11_434;

/// Tries to reach whatever there is, and tells what answers.
const LOOK: &str = "
import os, socket
def said(family, address):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(10)
            connection.connect(address)
            connection.sendall(b'hello')
            return connection.recv(100).decode()
    except OSError as error:
        return error.strerror or 'timed out'
print(said(socket.AF_INET, ('127.0.0.1', 11434)))
for host, port in [('127.0.0.1', 80), ('127.0.0.1', 11435), ('127.0.0.2', 11434), ('10.0.0.1', 11434), ('93.184.216.34', 443)]:
    assert said(socket.AF_INET, (host, port)) in ('Connection refused', 'Network is unreachable'), (host, port)
assert said(socket.AF_INET6, ('::1', 11434)) in ('Connection refused', 'Cannot assign requested address'), 'IPv6'
held = [os.readlink(f'/proc/self/fd/{number}') for number in range(64) if os.path.islink(f'/proc/self/fd/{number}')]
assert not any(place.startswith('socket') for place in held), held
";

fn answered() -> Spec {
    Spec { network: Network::Answered { port: PORT }, ..cell() }
}

/// Answers one connection.
fn answer(relay: &Relay) {
    let mut watched = [PollFd::new(&relay.connect, PollFlags::IN)];
    let ready = rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap();
    assert_eq!(ready, 1, "nobody came within 30 s");
    let listener = TcpListener::from(relay.connect.try_clone().unwrap());
    let (mut connection, from) = listener.accept().unwrap();
    assert!(from.ip().is_loopback());
    connection.set_nonblocking(false).unwrap();
    let mut heard = [0; 5];
    connection.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    connection.write_all(b"answered").unwrap();
}

/// Runs it, answering where there is anything to be answered, and returns what it said.
fn look(mut sandbox: Sandbox) -> String {
    let relay = sandbox.relay.take();
    relay.iter().for_each(answer);
    let ended = to_the_end(sandbox);
    assert_eq!(ended.outcome.exit, skylift_sandbox::Exit::Code(0), "{}", ended.said);
    ended.said
}

fn start(spec: &Spec, prepared: Prepared) -> Sandbox {
    put(prepared.folder(), "look.py", LOOK);
    prepared.start(&order(spec, &["/usr/bin/python3", "-I", "look.py"])).unwrap_or_else(|error| panic!("{error:?}")).0
}

#[test]
fn however_a_sandbox_is_made_one_port_is_answered_and_nothing_else_is_reached() {
    let nursery = Nursery::start(&cell()).unwrap_or_else(|error| panic!("{error:?}"));
    let zygote = zygote(&nursery);
    // The second of each pair is the control.
    for (spec, said) in [(answered(), "answered"), (cell(), "Connection refused")] {
        assert_eq!(look(start(&spec, prepare(&spec).unwrap())), said);
        assert_eq!(look(start(&spec, nursery.prepare(&spec).unwrap())), said);
        let born = nursery.prepare(&spec).unwrap();
        put(born.folder(), "look.py", LOOK);
        let parked = zygote.enter(born).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(look(parked.start(&order(&spec, &["look.py"])).unwrap().0), said);
    }
}

#[test]
fn nobody_inside_listens_in_the_hosts_place() {
    let steal = "
import socket
for options in [[], [socket.SO_REUSEADDR], [socket.SO_REUSEPORT], [socket.SO_REUSEADDR, socket.SO_REUSEPORT]]:
    for family, host in [(socket.AF_INET, '127.0.0.1'), (socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')]:
        try:
            listening = socket.socket(family)
            for option in options: listening.setsockopt(socket.SOL_SOCKET, option, 1)
            listening.bind((host, 11434))
            listening.listen()
            print(family, host, options)
        except OSError: pass
connection = socket.create_connection(('127.0.0.1', 11434), timeout=10)
connection.sendall(b'hello')
print(connection.recv(100).decode())";
    let spec = answered();
    let prepared = prepare(&spec).unwrap();
    put(prepared.folder(), "steal.py", steal);
    let running = prepared.start(&order(&spec, &["/usr/bin/python3", "-I", "steal.py"])).unwrap().0;
    assert_eq!(look(running), "answered");
}

#[test]
fn a_port_that_is_answered_cannot_be_served() {
    let spec = Spec { network: Network::Answered { port: PORT }, serves: Some(PORT), ..spec(&["/bin/true"]) };
    assert!(matches!(spawn(&spec), Err(SpawnError::PortTaken { port: PORT })));
}
