//! How files leave a sandbox: one stream of framed entries.
//!
//! An unpacked archive, a clone's work tree and a build's output folder all leave in this form on the sandboxed
//! process's standard output, so the host never opens a path that a guest chose. [`FrameWriter`] runs inside the
//! sandbox; [`receive`] runs outside and believes nothing: it checks every path, link, count and size itself,
//! hashes the bytes, and hands over a [`Received`] only when the stream ended as it must.
//!
//! ```text
//! magic    "SKYFRM" 0 1
//! note     'n' length:u32 bytes                        once at most, before any entry
//! entry    'f' mode:u8 path size:u64 chunks            mode 0 file, 1 executable, 2 symbolic link
//! chunk    length:u32 bytes                            1 to 65536 bytes, until `size` is reached;
//!          0xffffffff                                  broken off: an error frame follows
//! same     's' path of:u32                             the mode and bytes of the of-th entry
//! end      'e' files:u64 bytes:u64 skipped:u64         nothing may follow
//! error    'x' code message hint                       nothing in the stream counts
//! ```
//! Texts are a length (u16) and UTF-8; numbers are big-endian.

mod format;
mod link;
mod receive;
mod refusal;
mod writer;

pub use link::{InvalidLink, LinkRule, check_link};
pub use receive::{IntakeError, Received, Sink, receive, receive_with};
pub use refusal::{Refusal, RefusalCode};
pub use writer::{FrameWriter, WriteError};

/// How much one stream of files may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntakeLimits {
    /// The most files and links.
    pub files_max: u64,
    /// The most bytes of all files together.
    pub bytes_max: u64,
    /// The most bytes of one file.
    pub file_bytes_max: u64,
}

impl Default for IntakeLimits {
    /// 100,000 files, 1 GiB together, 512 MiB each.
    fn default() -> Self {
        Self { files_max: 100_000, bytes_max: 1 << 30, file_bytes_max: 512 << 20 }
    }
}
