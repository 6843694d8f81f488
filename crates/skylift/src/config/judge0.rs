//! The interface of Judge0, `[judge0]`.

use serde::{Deserialize, Serialize};

/// The settings.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Judge0Settings {
    /// Whether `judge0.DOMAIN` answers, where no app has that name.
    pub(crate) enabled: bool,
    /// With more runs than this waiting, no submission is taken.
    queue_max: u32,
    /// Whether clients may delete submissions.
    delete: bool,
}

impl Default for Judge0Settings {
    fn default() -> Self {
        Self { enabled: true, queue_max: 1000, delete: false }
    }
}

impl Judge0Settings {
    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        if self.queue_max == 0 { vec!["[judge0] queue_max: at least 1".to_owned()] } else { Vec::new() }
    }

    /// The API's own form of them.
    pub(crate) fn settings(&self) -> skylift_api::Judge0Settings {
        skylift_api::Judge0Settings { queue_max: self.queue_max, delete: self.delete }
    }
}
