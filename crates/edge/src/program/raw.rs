//! Connections to instances on which requests and answers pass as they are: each thread has its own.

use std::cell::RefCell;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use skylift_balance::TargetId;
use tokio::net::TcpStream;

use super::pool::{self, Pool};

thread_local! {
    static LINES: RefCell<Pool<TcpStream>> = RefCell::default();
}

/// One that waits for its next request.
pub(crate) fn take(target: &TargetId, now: Instant) -> Option<TcpStream> {
    LINES.with_borrow_mut(|lines| lines.take(target, now, is_quiet))
}

/// Keeps one for the next request.
pub(crate) fn give(target: &TargetId, stream: TcpStream, now: Instant) {
    pool::give(&LINES, target, stream, now);
}

/// Closes what waits for an instance that is not to be asked any more.
pub(super) fn drop_all(target: &TargetId) {
    LINES.with_borrow_mut(|lines| lines.drop_all(target));
}

/// Whether the other side has neither closed it nor said what it was not asked for. The socket itself is asked: what the runtime knows
/// is from when it last looked, and what came since would be taken for the answer to the next request.
fn is_quiet(stream: &TcpStream) -> bool {
    matches!(recv(stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT), Err(Errno::AGAIN))
}
