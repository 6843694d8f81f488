//! Worker processes of this node, as whoever scales has them.

use std::io;
use std::time::Instant;

use futures_util::future::BoxFuture;

/// A worker process that was started here and has not ended.
#[derive(Clone, Debug)]
pub struct Child {
    /// By which name it takes runs.
    pub name: String,
    pub started: Instant,
}

/// What a worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// To take what it may.
    Serve,
    /// To take nothing more, and finish what it has.
    Drain,
    /// To take nothing more, and give back what it has.
    GiveBack,
    /// To end.
    End,
    /// Nothing: it is killed.
    Die,
}

/// Starts, tells and ends worker processes. Those that are started end with this process, however that ends.
pub trait Children: Send {
    /// Those that have not ended.
    fn living(&mut self) -> Vec<Child>;

    /// Starts one more.
    ///
    /// # Errors
    /// Where the system does not let it.
    fn start(&mut self) -> io::Result<Child>;

    /// Tells one something; one that has ended meanwhile hears nothing.
    fn tell(&mut self, name: &str, told: Told);

    /// Ends all of them: each gives back what it cannot end soon. Returns once none is left.
    fn end_all(&mut self) -> BoxFuture<'_, ()>;
}
