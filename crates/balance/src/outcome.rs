//! How a request to a target ended, and what that says of the target.

use std::time::Duration;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The head of an answer came.
    Answered { status: u16 },
    /// Nobody listens at its address.
    Refused,
    /// The connection could not be made, for another reason or in time.
    Unreachable,
    /// The connection ended before the head of the answer, or the answer was none.
    Reset,
    /// No head of an answer came in time.
    TimedOut,
    /// The client left first: that says nothing bad of the target, but that it was no faster.
    ClientLeft,
}

/// What passive ejection makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Failure,
    /// One is enough.
    Gone,
    Nothing,
}

/// A target was ejected by what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejected {
    /// For how long.
    pub lasts: Duration,
}

impl Outcome {
    /// Only failures of the way there count: an app's own 500 says that it answers. 502 to 504 are how a gateway within the app says that
    /// its way ends.
    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Self::Answered { status: 502..=504 } | Self::Unreachable | Self::Reset | Self::TimedOut => Verdict::Failure,
            Self::Answered { .. } => Verdict::Good,
            Self::Refused => Verdict::Gone,
            Self::ClientLeft => Verdict::Nothing,
        }
    }

    /// Whether the user got no answer or a server's error: what a canary is judged by.
    pub const fn is_error(self) -> bool {
        match self {
            Self::Answered { status } => status >= 500,
            Self::Refused | Self::Unreachable | Self::Reset | Self::TimedOut => true,
            Self::ClientLeft => false,
        }
    }
}
