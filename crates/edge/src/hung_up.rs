//! Whether the other side of a socket has ended it, also where it has said something before that nobody has read.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::TcpStream;

/// What the other side has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    None,
    /// It says nothing more, and may still listen.
    Said,
    /// It is gone.
    Gone,
}

/// How the other side has ended it, by now.
pub(crate) fn end_of(socket: &TcpStream) -> End {
    let mut sockets = [PollFd::new(socket, PollFlags::RDHUP)];
    if !matches!(poll(&mut sockets, Some(&Timespec::default())), Ok(1..)) {
        return End::None;
    }
    let [socket] = sockets;
    let seen = socket.revents();
    if seen.intersects(PollFlags::HUP | PollFlags::ERR) {
        End::Gone
    } else if seen.contains(PollFlags::RDHUP) {
        End::Said
    } else {
        End::None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    async fn becomes(socket: &TcpStream, end: End) {
        let seen = async {
            while end_of(socket) != end {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the end is seen");
    }

    #[tokio::test]
    async fn an_end_is_seen_behind_what_nobody_has_read() {
        let (mut client, server) = pair().await;
        client.write_all(b"unread").await.unwrap();
        assert_eq!(end_of(&server), End::None);
        client.shutdown().await.unwrap();
        becomes(&server, End::Said).await;
        let (mut client, server) = pair().await;
        client.write_all(b"unread").await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
        becomes(&server, End::Gone).await;
    }
}
