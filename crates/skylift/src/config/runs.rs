//! How code that is sent is run, `[runs]`.

use serde::{Deserialize, Serialize};
use skylift_model::run::{LIMITS, Limits, LimitsKnown};

/// The settings.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunSettings {
    /// How many run at the same time; left out, twice as many as there are processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at_once: Option<u32>,
    /// The longest time from start to end that may be asked for, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wall_ms_max: Option<u64>,
    /// The most memory that may be asked for, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_bytes_max: Option<u64>,
    /// How many bytes of compiled programs are kept, for the next time that the same is sent; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compiled_bytes_max: Option<u64>,
}

/// Less memory than this starts no interpreter.
const MEMORY_BYTES_MIN: u64 = 16 << 20;
/// Where nothing is said, this much of what was compiled is kept.
const COMPILED_BYTES: u64 = 256 << 20;
/// More at the same time have no users of their own.
const AT_ONCE_MAX: u32 = 1024;

impl RunSettings {
    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.at_once.is_some_and(|count| !(1..=AT_ONCE_MAX).contains(&count)) {
            mistakes.push(format!("[runs] at_once: 1 to {AT_ONCE_MAX}"));
        }
        if self.wall_ms_max == Some(0) {
            mistakes.push("[runs] wall_ms_max: at least 1".to_owned());
        }
        if self.memory_bytes_max.is_some_and(|bytes| bytes < MEMORY_BYTES_MIN) {
            mistakes.push("[runs] memory_bytes_max: 16 MiB (16777216) are the least".to_owned());
        }
        mistakes
    }

    /// How many run at the same time.
    pub(crate) fn at_once(&self) -> usize {
        let usual = || 2 * std::thread::available_parallelism().map_or(1, usize::from);
        self.at_once.and_then(|count| usize::try_from(count).ok()).unwrap_or_else(usual)
    }

    /// How many bytes of compiled programs are kept.
    pub(crate) fn compiled_bytes_max(&self) -> u64 {
        self.compiled_bytes_max.unwrap_or(COMPILED_BYTES)
    }

    /// What runs may use.
    pub(crate) fn limits(&self) -> LimitsKnown {
        let most = LIMITS.most;
        let wall_ms = self.wall_ms_max.unwrap_or(most.wall_ms);
        let memory_bytes = self.memory_bytes_max.unwrap_or(most.memory_bytes);
        LimitsKnown { most: Limits { wall_ms, cpu_ms: most.cpu_ms.max(wall_ms), memory_bytes, ..most }, ..LIMITS }
    }
}
