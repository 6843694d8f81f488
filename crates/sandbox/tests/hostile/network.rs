//! Whom a payload can reach.

use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;

use rustix::event::{PollFd, PollFlags, Timespec};
use skylift_sandbox::Defence::OwnNetwork;
use skylift_sandbox::{Exit, Network, Refused, Relay, Spec, dns};

use crate::attack::{python, start, with_and_without};

fn relayed(script: &str) -> Spec {
    let mut spec = python(script);
    spec.network = Network::Relay { connect_port: 3128, ports: vec![443, 80], dns: true };
    spec
}

#[test]
fn a_connection_to_any_address_arrives_at_the_relay() {
    let script = "
import socket
for address in [('93.184.216.34', 443), ('10.0.0.1', 80), ('2606:2800:220:1::1', 443), ('127.0.0.1', 3128)]:
    connection = socket.create_connection(address, timeout=10)
    connection.sendall(b'hello')
    print(connection.recv(100).decode())";
    let mut sandbox = start(&relayed(script));
    let relay = sandbox.relay.take().unwrap();
    let said = std::fs::File::from(sandbox.stdout.take().unwrap());

    for expected in ["93.184.216.34:443", "10.0.0.1:80", "[2606:2800:220:1::1]:443", "127.0.0.1:3128"] {
        let mut connection = accept(&relay);
        assert_eq!(asked_for(&connection), expected.parse::<SocketAddr>().unwrap());
        let mut heard = [0; 5];
        connection.set_nonblocking(false).unwrap();
        connection.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
        connection.write_all(expected.as_bytes()).unwrap();
    }
    let said = std::io::read_to_string(said).unwrap();
    assert_eq!(said, "93.184.216.34:443\n10.0.0.1:80\n[2606:2800:220:1::1]:443\n127.0.0.1:3128\n");
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Code(0));
}

/// Where the payload wanted to go: a listener for both families writes IPv4 as IPv6.
pub(crate) fn asked_for(connection: &std::net::TcpStream) -> SocketAddr {
    let local = connection.local_addr().unwrap();
    (local.ip().to_canonical(), local.port()).into()
}

/// The next connection at any of the relay's listeners.
fn accept(relay: &Relay) -> std::net::TcpStream {
    let listeners: Vec<_> = std::iter::once(&relay.connect).chain(relay.tcp.iter().map(|(_, socket)| socket)).collect();
    let ready = first_readable(&listeners);
    TcpListener::from(listeners[ready].try_clone().unwrap()).accept().unwrap().0
}

fn first_readable(sockets: &[impl AsFd]) -> usize {
    let mut watched: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
    rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).unwrap();
    watched.iter().position(|socket| !socket.revents().is_empty()).expect("nothing came within 10 s")
}

#[test]
fn names_are_asked_of_any_address_and_answered_from_it() {
    let script = "
import socket
for address in ['127.0.0.1', '8.8.8.8', '2001:4860:4860::8888']:
    asking = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(10)
    asking.connect((address, 53))  # takes answers from there only
    asking.send(b'question')
    print(asking.recv(100).decode())";
    let mut sandbox = start(&relayed(script));
    let relay = sandbox.relay.take().unwrap();
    let said = std::fs::File::from(sandbox.stdout.take().unwrap());
    for expected in ["127.0.0.1", "8.8.8.8", "2001:4860:4860::8888"] {
        let socket = &relay.dns[first_readable(&relay.dns)];
        let mut buffer = [0; 512];
        let (length, asked) = dns::receive(socket, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"question");
        assert_eq!(asked.at.to_string(), expected);
        dns::reply(socket, expected.as_bytes(), &asked).unwrap();
    }
    assert_eq!(std::io::read_to_string(said).unwrap(), "127.0.0.1\n8.8.8.8\n2001:4860:4860::8888\n");
    assert_eq!(dns::receive(&relay.dns[0], &mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn other_ports_are_refused_at_once() {
    let script = "
import socket
try: socket.create_connection(('93.184.216.34', 25), timeout=10)
except OSError as error: print(error.strerror)";
    let mut sandbox = start(&relayed(script));
    let said = std::io::read_to_string(std::fs::File::from(sandbox.stdout.take().unwrap())).unwrap();
    assert_eq!(said, "Connection refused\n");
}

#[test]
fn what_is_sent_where_nobody_listens_is_counted_also_after_the_end() {
    let script = "
import socket
for address in [('93.184.216.34', 25), ('10.0.0.1', 5000), ('2606:2800:220:1::1', 25)]:
    try: socket.create_connection(address, timeout=10)
    except OSError as error: print(error.strerror)
for address in [('93.184.216.34', 123), ('2606:2800:220:1::1', 123)]:
    made = socket.socket(socket.AF_INET6 if ':' in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    made.connect(address); made.send(b'x')
socket.create_connection(('93.184.216.34', 443), timeout=10)
print('done', flush=True)
input()";
    let mut spec = relayed(script);
    spec.stdin = skylift_sandbox::Stdin::Pipe;
    let mut sandbox = start(&spec);
    let unheard = sandbox.unheard().unwrap();
    let mut said = std::io::BufReader::new(std::fs::File::from(sandbox.stdout.take().unwrap())).lines();
    let until_done: Vec<_> = said.by_ref().map(Result::unwrap).take_while(|line| line != "done").collect();
    assert_eq!(until_done, ["Connection refused"; 3]);
    let counted = Refused { connections: 3, datagrams: 2 };
    assert_eq!(unheard.read().unwrap(), counted, "what the relay took is its own to count");
    drop(sandbox.stdin.take());
    sandbox.wait().unwrap();
    drop(sandbox);
    assert_eq!(unheard.read().unwrap(), counted);
}

const TRY: &str = "
import socket
def attempt(kind, address):
    try:
        made = socket.socket(kind, socket.SOCK_STREAM); made.settimeout(3); made.connect(address)
        return 'reached'
    except OSError as error: return error.strerror or str(error)
";

#[test]
fn without_a_network_nothing_outside_is_reached() {
    let script = format!(
        "{TRY}
for address in ['93.184.216.34', '169.254.169.254', '10.0.0.1', '192.168.0.1', '100.64.0.1', '0.0.0.0', '255.255.255.255']:
    print(attempt(socket.AF_INET, (address, 80)))
for address in ['2606:2800:220:1::1', 'fd00::1', '::ffff:10.0.0.1', '64:ff9b::a00:1']:
    print(attempt(socket.AF_INET6, (address, 80)))
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: datagram.sendto(b'x', ('8.8.8.8', 53)); print('sent')
except OSError as error: print(error.strerror)
try: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print('made')
except OSError as error: print(error.strerror)"
    );
    let mut sandbox = start(&python(&script));
    let said = std::io::read_to_string(std::fs::File::from(sandbox.stdout.take().unwrap())).unwrap();
    let unreachable = ["Network is unreachable", "Connection refused", "Cannot assign requested address"];
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 13, "{said}");
    assert!(lines[..12].iter().all(|line| unreachable.contains(line)), "{said}");
    assert_eq!(lines[12], "Operation not permitted");
}

#[test]
fn services_of_the_host_are_not_reached() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = format!("skylift-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let local = UnixListener::bind_addr(&address).unwrap();
    let script = format!(
        "{TRY}
print(attempt(socket.AF_INET, ('127.0.0.1', {port})), attempt(socket.AF_UNIX, '\\0{name}'), sep='; ')"
    );
    let (with, without) = with_and_without(&script, &[OwnNetwork]);
    assert_eq!(with, "Connection refused; Connection refused");
    assert_eq!(without, "reached; reached");
    drop((tcp, udp, local));
}
