//! What clients were told: which versions may answer at a moment, and what went wrong.

use std::sync::Mutex;

/// Shared by the clients and whoever changes what is live.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// What was to be live, one after the other; a version may come back.
    course: Vec<String>,
    /// Up to here it was confirmed.
    confirmed: usize,
    /// Versions that fail by themselves.
    faulty: Vec<String>,
    /// Instances that were killed.
    killed: Vec<String>,
    /// What may have been lost with one of them.
    broken: Vec<(Kind, Broken)>,
    told: Told,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) answered: [u64; KINDS.len()],
    /// Under way at an instance that was killed, by kind; nobody can repeat them.
    pub(crate) lost: [u64; KINDS.len()],
    /// Answered with 500 by a version that does so.
    pub(crate) faults: u64,
    pub(crate) failed: Vec<String>,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    /// Over a connection that lasts.
    Again,
    Post,
    Download,
    Socket,
    /// Over one connection of HTTP/2, beside the next.
    Stream,
    StreamPost,
}

pub(crate) const KINDS: [Kind; 7] =
    [Kind::Read, Kind::Again, Kind::Post, Kind::Download, Kind::Socket, Kind::Stream, Kind::StreamPost];

impl Kind {
    /// Whether nobody can repeat it where an instance dies: it may have had an effect, or, of what has `begun`, a part was passed on. A
    /// download whose first bytes were passed on cannot be taken back; one that has not begun is repeated as every GET.
    fn may_be_lost(self, at: &At) -> bool {
        match self {
            Self::Read | Self::Again | Self::Stream => false,
            Self::Post | Self::Socket | Self::StreamPost => true,
            Self::Download => matches!(at, At::Instance(_)),
        }
    }
}

/// A request that came to no good end.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) why: String,
    pub(crate) at: At,
}

/// Where it was then.
#[derive(Clone, Debug)]
pub(crate) enum At {
    /// At this instance, which had begun to answer.
    Instance(String),
    /// At the one that the platform's log names for this request id.
    Request(String),
    Unknown,
}

impl Broken {
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self { why: why.into(), at: At::Unknown }
    }

    pub(crate) fn at_instance(why: impl Into<String>, instance: &str) -> Self {
        Self { why: why.into(), at: At::Instance(instance.to_owned()) }
    }
}

/// A request that was begun.
pub(crate) struct Begun {
    kind: Kind,
    /// The first that may answer.
    from: usize,
}

impl Ledger {
    /// A version may answer from now on.
    pub(crate) fn comes(&self, version: &str) {
        self.0.lock().unwrap().course.push(version.to_owned());
    }

    /// It was said that the last one is live: no other answers what is begun from now on.
    pub(crate) fn is_live(&self) {
        let mut inner = self.0.lock().unwrap();
        inner.confirmed = inner.course.len() - 1;
    }

    /// An instance is about to be killed.
    pub(crate) fn kills(&self, instance: &str) {
        self.0.lock().unwrap().killed.push(instance.to_owned());
    }

    /// A version answers with 500 by itself.
    pub(crate) fn is_faulty(&self, version: &str) {
        self.0.lock().unwrap().faulty.push(version.to_owned());
    }

    pub(crate) fn begin(&self, kind: Kind) -> Begun {
        Begun { kind, from: self.0.lock().unwrap().confirmed }
    }

    /// It was answered by a version, or failed.
    pub(crate) fn end(&self, begun: &Begun, answer: Result<String, Broken>) {
        let mut inner = self.0.lock().unwrap();
        let (kind, number) = (begun.kind, KINDS.iter().position(|kind| *kind == begun.kind).unwrap());
        match answer {
            Ok(version) if inner.course[begun.from..].contains(&version) => inner.told.answered[number] += 1,
            Ok(version) => {
                let known = inner.course[begun.from..].join(", ");
                inner.told.failed.push(format!("{kind:?}: answered by {version:?}, not by any of {known}"));
            }
            Err(Broken { why, .. }) if inner.faulty.iter().any(|version| why == format!("500 {version}")) => {
                inner.told.faults += 1;
            }
            Err(broken) => inner.broken.push((kind, broken)),
        }
    }

    /// What was counted. What broke was lost with an instance only where it was at one that was killed, as the answers, or the platform's log,
    /// say, and nobody can repeat it; all else has failed.
    pub(crate) fn told(&self, platform_log: &str) -> Told {
        let inner = self.0.lock().unwrap();
        let mut told = inner.told.clone();
        for (kind, Broken { why, at }) in &inner.broken {
            let was_there = match at {
                At::Instance(instance) => inner.killed.contains(instance),
                At::Request(id) => platform_log.lines().any(|line| {
                    !id.is_empty() && line.contains(id) && inner.killed.iter().any(|instance| line.contains(instance))
                }),
                At::Unknown => false,
            };
            if was_there && kind.may_be_lost(at) {
                told.lost[KINDS.iter().position(|one| one == kind).unwrap()] += 1;
            } else {
                told.failed.push(format!("{kind:?}: {why} ({at:?})"));
            }
        }
        told
    }
}
