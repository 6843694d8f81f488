//! One process tree, confined: own namespaces, own uid, a read-only system, limits, and everything in it killed and
//! cleaned when it ends.
//!
//! The host never forks. It starts its own executable again, or a small one ([`InitFile`]), as `sandbox-init` (see
//! [`init_main`]), which becomes three processes:
//!
//! ```text
//! host ──▶ watcher ──▶ PID 1 of the sandbox ──▶ payload (no capability, seccomp) ──▶ whatever it starts
//!          │           │ builds the root, opens the relay's listeners, reaps,
//!          │           │ tells how the payload ended, and by ending ends all others
//!          ├ dies with the host, and PID 1 with it
//!          └ makes the sockets by which the host comes in
//! ```
//!
//! The host's side is [`spawn`], [`Sandbox`] and [`Outcome`]; one that is made ahead is a [`Prepared`]. A network made by somebody else is entered and served by
//! [`adopt`]. What this crate never does: follow a path of the guest on the host, run a shell, keep a thread (but for
//! adopted networks), or measure wall-clock time, output and disk for the caller.

mod adopt;
pub mod cgroup;
mod control;
mod disk_usage;
pub mod dns;
mod door;
mod init;
mod init_file;
mod listening;
mod memory;
mod nursery;
mod outermost;
mod prepared;
mod probe;
mod process;
mod remove_tree;
mod sandbox;
mod spawn;
mod spec;
mod tied;
mod turns;
mod unheard;
mod unlinked;
mod zygote;

pub use adopt::{AdoptError, Adopted, adopt};
pub use disk_usage::{DiskUsage, disk_usage, disk_usage_up_to};
pub use door::{Door, Family};
pub use init::init_main;
pub use init_file::InitFile;
pub use listening::{Condition, Listener, Listening};
pub use memory::give_freed_memory_back;
pub use nursery::Nursery;
pub use prepared::{Ordered, Prepared};
pub use probe::{Isolation, probe};
pub use process::number_of;
pub use remove_tree::remove_tree;
pub use sandbox::{Exit, InUse, Outcome, Relay, Sandbox};
pub use spawn::{SpawnError, prepare, spawn};
#[doc(hidden)]
pub use spec::Defence;
pub use spec::{Limits, Mount, Network, Order, Output, Scratch, Source, Spec, Stdin};
pub use tied::tie;
pub use turns::take_short_turns;
pub use unheard::{Refused, Unheard};
pub use unlinked::Unlinked;
pub use zygote::{OwnPages, Parked, Range, Zygote, ZygoteSpec};
