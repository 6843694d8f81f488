use std::net::*; use std::os::fd::AsFd; use std::process::Command;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use skylift_egress::*;
#[tokio::main]
async fn main() {
    let pid = std::env::args().nth(1).unwrap();
    let sockets = std::thread::spawn(move || {
        let f = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
        move_into_link_name_space(f.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        for a in [vec!["link","set","lo","up"], vec!["route","add","local","0.0.0.0/0","dev","lo"], vec!["-6","route","add","local","::/0","dev","lo"]] { assert!(Command::new("ip").args(a).status().unwrap().success()); }
        Sockets { connect: TcpListener::bind("127.0.0.1:3128").unwrap(),
            tcp: [443,80,22].into_iter().map(|p| (p, TcpListener::bind(("::", p)).unwrap())).collect(),
            dns: vec![UdpSocket::bind("127.0.0.1:53").unwrap()] }
    }).join().unwrap();
    let g = Gateway::start(Policy::default(), sockets, |r| eprintln!("LOG {r}")).unwrap();
    std::fs::write("/tmp/egress-ready", "").unwrap();
    let mut line = String::new(); 
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut line)).await.unwrap().unwrap();
    eprintln!("{:?}", g.stop().await);
}
