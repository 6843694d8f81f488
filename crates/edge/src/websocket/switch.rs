//! How a connection goes on after a request that asked for another protocol.
//!
//! ```text
//! HTTP ──a head with `Upgrade` passes the gate──▶ open question ──its answer is made──▶ HTTP, or a tunnel to the end
//! ```
//!
//! Three see it: the gate, which lets nothing pass while the question is open; the gateway, which decides it when it answers that
//! request; and whoever serves the connection, who has the tunnel when HTTP has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::tunnel::{FarEnd, Opened, Tunnel};

/// Shared by those who see it. Cheap to clone; all clones are of the same connection.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    decided: Option<GoesOn>,
    waker: Option<Waker>,
    offered: Option<FarEnd>,
    tunnel: Option<Tunnel>,
}

/// What the client's next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GoesOn {
    /// The next request.
    WithHttp,
    /// For the other end of a tunnel.
    WithTunnel,
}

impl Switch {
    /// For the gate: a request that asks passes, and the question is open.
    pub(crate) fn ask(&self) {
        self.state().decided = None;
    }

    /// For the gate: waits for what was decided.
    pub(crate) fn poll_decided(&self, cx: &mut Context<'_>) -> Poll<GoesOn> {
        let mut state = self.state();
        match state.decided {
            Some(goes_on) => Poll::Ready(goes_on),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// For the gateway: the other end of a tunnel, in case the connection switches.
    pub(crate) fn offer(&self, far: FarEnd) {
        self.state().offered = Some(far);
    }

    /// For the gateway: the request is answered, and HTTP goes on.
    pub(crate) fn stay(&self) {
        self.state().offered = None;
        self.decide(GoesOn::WithHttp);
    }

    /// For the gateway: the request is answered with 101, and the tunnel to what was offered begins behind that.
    pub(crate) fn go(&self, opened: Opened) {
        let mut state = self.state();
        let Some(far) = state.offered.take() else { return };
        state.tunnel = Some(Tunnel::new(far, opened));
        drop(state);
        self.decide(GoesOn::WithTunnel);
    }

    /// For whoever serves the connection: what it has become.
    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.state().tunnel.take()
    }

    /// Decided, for tests of the gate alone.
    #[cfg(test)]
    pub(crate) fn go_nowhere(&self) {
        self.decide(GoesOn::WithTunnel);
    }

    fn decide(&self, goes_on: GoesOn) {
        let waker = {
            let mut state = self.state();
            state.decided = Some(goes_on);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Switch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Switch").field("decided", &self.state().decided).finish()
    }
}
