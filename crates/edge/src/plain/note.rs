//! What is to be recorded of a plain request, once its answer has ended.

use std::borrow::Cow;
use std::net::SocketAddr;

use skylift_model::RequestId;

use crate::access::{AccessLog, Line};
use crate::metrics::Counters;
use crate::now::{Moment, now};

/// Everything about an answer but how it ended.
#[derive(Debug)]
pub(crate) struct Note<'n> {
    pub(crate) id: RequestId,
    pub(crate) started: Moment,
    pub(crate) client: SocketAddr,
    pub(crate) host: Cow<'n, str>,
    pub(crate) app: Cow<'n, str>,
    pub(crate) deployment: Cow<'n, str>,
    pub(crate) method: &'static str,
    pub(crate) path: Cow<'n, str>,
    pub(crate) status: u16,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Complete,
    Cut,
}

impl Note<'_> {
    /// Records the answer: `bytes` of its body were taken.
    pub(crate) fn record(&self, log: &AccessLog, counters: &Counters, bytes: u64, ending: Ending) {
        let ended = now();
        let duration = ended.instant.saturating_duration_since(self.started.instant);
        counters.count(self.status, bytes, duration);
        log.push(&Line {
            ended,
            id: self.id.as_str(),
            host: Some(&self.host),
            app: Some(&self.app),
            deployment: Some(&self.deployment),
            method: self.method,
            path: &self.path,
            status: self.status,
            bytes,
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            client: self.client,
            complete: ending == Ending::Complete,
            passed_on: None,
            cache: None,
        });
    }

    /// The same, for an answer that takes longer than its request stays in memory.
    pub(crate) fn into_owned(self) -> Note<'static> {
        Note {
            id: self.id,
            started: self.started,
            client: self.client,
            host: self.host.into_owned().into(),
            app: self.app.into_owned().into(),
            deployment: self.deployment.into_owned().into(),
            method: self.method,
            path: self.path.into_owned().into(),
            status: self.status,
        }
    }
}
