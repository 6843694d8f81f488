//! The listener of this process: given by the one before it, or bound.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

/// How often it is tried again, and how long after, while an address is in use: nginx does so as often, and as long. A process that was
/// killed may have left children of its, for a moment, that have its listener.
const TRIES_MORE: u32 = 5;
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// As many wait for an accept as the system allows: nobody accepts while one process takes over from another.
pub(crate) fn given(given: std::net::TcpListener) -> io::Result<TcpListener> {
    rustix::net::listen(&given, i32::MAX)?;
    given.set_nonblocking(true)?;
    TcpListener::from_std(given)
}

/// A listener at an address.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    for _ in 0..TRIES_MORE {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => sleep(AGAIN_AFTER).await,
            bound => return bound,
        }
    }
    TcpListener::bind(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_about_to_be_free_is_waited_for() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let waits = tokio::spawn(bind(address));
        let free = async {
            sleep(AGAIN_AFTER / 2).await;
            drop(taken);
        };
        let (bound, ()) = tokio::join!(waits, free);
        assert_eq!(bound.unwrap().unwrap().local_addr().unwrap(), address);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_taken_is_told() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = bind(taken.local_addr().unwrap()).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
