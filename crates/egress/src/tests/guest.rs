//! A guest before its gateway: what it can ask, and what was said of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::internet::Internet;
use crate::address::OwnAddresses;
use crate::dns::Names;
use crate::gateway::Way;
use crate::policy::{InForce, Policy};
use crate::resolve::{AddressFilter, Exit, Limits};
use crate::{Gateway, Sockets};

pub(super) struct Setting {
    pub(super) policy: Policy,
    pub(super) filter: AddressFilter,
    pub(super) limits: Limits,
    pub(super) internet: Arc<Internet>,
}

pub(super) struct Guest {
    pub(super) gateway: Gateway,
    pub(super) proxy: SocketAddr,
    /// Where direct connections to port 443 arrive, at any address of 127.0.0.0/8.
    pub(super) direct_port: u16,
    dns: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
}

/// Made-up addresses come from here in tests, since any address of 127.0.0.0/8 reaches a listener everywhere.
const POOL: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 0);

impl Setting {
    pub(super) fn before(internet: &Arc<Internet>) -> Self {
        Self {
            policy: Policy::default(),
            filter: AddressFilter::Told(Arc::default()),
            limits: Limits::default(),
            internet: Arc::clone(internet),
        }
    }

    pub(super) fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    pub(super) fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where these are the host's addresses.
    pub(super) fn own(self, own: &Arc<Mutex<OwnAddresses>>) -> Self {
        Self { filter: AddressFilter::Told(own.clone()), ..self }
    }

    /// With the list of addresses out of force, to show that it is what stops an attack.
    pub(super) fn without_filter(self) -> Self {
        Self { filter: AddressFilter::Off, ..self }
    }

    pub(super) fn start(self) -> Guest {
        let connect = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let direct = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let dns = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (proxy, direct_port, dns_at) =
            (connect.local_addr().unwrap(), direct.local_addr().unwrap().port(), dns.local_addr().unwrap());
        let (gateway, said) = self
            .serve(Names::after(POOL), Sockets { connect, tcp: vec![(443, direct)], passages: vec![], dns: vec![dns] });
        Guest { gateway, proxy, direct_port, dns: dns_at, said }
    }

    pub(super) fn serve(self, names: Names, sockets: Sockets) -> (Gateway, Arc<Mutex<Vec<String>>>) {
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&said);
        let Self { policy, filter, limits, internet } = self;
        let exit = Exit { policy: InForce::new(policy), filter, limits, outside: internet };
        let way = Way::new(exit, names, move |refusal| lines.lock().unwrap().push(refusal.to_string()));
        (Gateway::serve(way, sockets).unwrap(), said)
    }
}

impl Guest {
    pub(super) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Asks the proxy for a tunnel: the status of the answer, and the stream behind it.
    pub(super) async fn connect(&self, authority: &str) -> (u16, TcpStream) {
        let mut stream = TcpStream::connect(self.proxy).await.unwrap();
        stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let status = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
        (status, stream)
    }

    /// Sends `bytes` to the proxy and reads its whole answer.
    pub(super) async fn ask(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.proxy).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    /// A connection that knows of no proxy, to `ip` at port 443 as the guest sees it.
    pub(super) async fn connect_directly(&self, ip: Ipv4Addr) -> io::Result<TcpStream> {
        TcpStream::connect((ip, self.direct_port)).await
    }

    /// Asks the name server: the code of its answer, and the address in it.
    pub(super) async fn look_up(&self, name: &str) -> (u8, Option<Ipv4Addr>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&question(name, 1), self.dns).await.unwrap();
        let mut answer = [0; 600];
        let length = socket.recv(&mut answer).await.unwrap();
        read_answer(&answer[..length])
    }
}

/// Everything up to the end of the stream.
pub(super) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(super) fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

pub(super) fn read_answer(answer: &[u8]) -> (u8, Option<Ipv4Addr>) {
    let has_address = answer[7] == 1;
    let address = has_address.then(|| Ipv4Addr::from(*answer.last_chunk::<4>().unwrap()));
    (answer[3] & 0x0f, address)
}
