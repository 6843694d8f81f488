//! An instance as the balancer sees it.
//!
//! ```text
//!  starting ──first good check──▶ healthy ◀──rise── unhealthy       any ──announced──▶ draining
//!                                  │  ▲  └───fall────▶
//!                       failures   ▼  │ its time is over
//!                                 ejected
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use skylift_model::DeploymentId;
use skylift_model::program::Protocol;

/// The longest name of a target or a node, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// One instance that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub id: TargetId,
    pub address: SocketAddr,
    /// The node it runs on.
    pub node: NodeName,
    /// The version it runs.
    pub deployment: DeploymentId,
    /// How much it takes beside the others; 0 for nothing.
    pub weight: u16,
    /// What it speaks.
    pub protocol: Protocol,
    pub announced: Announced,
}

/// What those who run an instance say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// It was started. It is asked nothing until a check has passed.
    Starting,
    /// It has answered. Checks and answers decide from here on.
    Serving,
    /// It has answered, and checks of those who run it fail. It is asked where too few others are left.
    Unhealthy,
    /// It will be stopped: it finishes what it has and gets nothing more.
    Draining,
}

/// How a target stands, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Starting,
    Healthy,
    /// Active checks fail.
    Unhealthy,
    /// Answers failed; for a time it is asked nothing.
    Ejected,
    Draining,
}

/// Text that names neither a target nor a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {NAME_BYTES_MAX} of the characters a-z, 0-9, `-`, `_` and `.`")]
pub struct InvalidName;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(InvalidName) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// Which instance it is. A new process is a new target.
    TargetId;
    /// The machine an instance runs on.
    NodeName;
}

impl State {
    /// The state's name, as in the API and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
        }
    }
}

/// Neither a separator of the sticky cookie's parts nor anything that a header would have to escape.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}
