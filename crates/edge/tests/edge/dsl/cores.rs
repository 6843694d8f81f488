//! Whose core is whose, so that a figure is of the server and not of those who ask: it has the first core, they have the last. Where
//! there is one core alone, all share it.

use std::sync::OnceLock;

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Behind everybody else.
const LAST_IN_TURN: i32 = 19;

/// Where a thread runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Core {
    First,
    Last,
}

/// Has this thread, and those that it starts, run on the core that servers have.
pub(crate) fn on_the_servers() {
    pin(Core::First);
}

/// A runtime for clients, on their core; this thread is one of its own.
pub(crate) fn clients() -> Runtime {
    pin(Core::Last);
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs something on the clients' core, where it stands back behind all of them.
pub(crate) async fn behind_clients<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, waits) = oneshot::channel();
    let run = move || {
        pin(Core::Last);
        // Of this thread alone. Nobody is refused to stand back.
        setpriority_process(None, LAST_IN_TURN).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _ = done.send(runtime.block_on(work));
    };
    std::thread::spawn(run);
    waits.await.expect("it ends well")
}

fn pin(core: Core) {
    /// The first and the last core that this process may use; a thread may only see those of whoever started it.
    static CORES: OnceLock<(usize, usize)> = OnceLock::new();
    let (first, last) = *CORES.get_or_init(|| {
        let allowed = sched_getaffinity(None).unwrap();
        let mut all = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let first = all.next().unwrap();
        (first, all.next_back().unwrap_or(first))
    });
    let mut one = CpuSet::new();
    one.set(if core == Core::First { first } else { last });
    sched_setaffinity(None, &one).unwrap();
}
