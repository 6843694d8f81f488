//! How fast a build's output is read: a program that prints without end must not have the platform read without end.

use std::time::Duration;

use tokio::time::Instant;

/// How many bytes are read in one window; 4 MiB a second.
const BYTES: u64 = 512 << 10;
/// What a line costs at least: cleaning and storing many short ones is as much work as few long ones. 65,536 lines a second.
const LINE_BYTES: u64 = 64;
const WINDOW: Duration = Duration::from_millis(125);

/// What was read in the window that lasts.
pub(crate) struct Pace {
    began: Instant,
    read: u64,
}

impl Pace {
    pub(crate) fn from(now: Instant) -> Self {
        Self { began: now, read: 0 }
    }

    /// Notes what was read and how many lines it made; returns until when nothing more should be, if the window has had its share, or the
    /// share of some that follow.
    pub(crate) fn read(&mut self, bytes: u64, lines: u64, now: Instant) -> Option<Instant> {
        if now.saturating_duration_since(self.began) >= WINDOW {
            *self = Self::from(now);
        }
        self.read += bytes.max(lines.saturating_mul(LINE_BYTES));
        let windows = u32::try_from(self.read / BYTES).unwrap_or(u32::MAX);
        (windows > 0).then(|| self.began + WINDOW.saturating_mul(windows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_read_at_the_pace_and_a_trickle_at_once() {
        let start = Instant::now();
        let mut pace = Pace::from(start);
        assert_eq!(pace.read(BYTES / 2, 1, start), None);
        assert_eq!(pace.read(BYTES / 2, 1, start), Some(start + WINDOW));
        assert_eq!(pace.read(BYTES - 1, 1, start + WINDOW), None, "a new window");
        let (mut pace, mut now, mut read) = (Pace::from(start), start, 0);
        while now < start + Duration::from_secs(1) {
            read += 64 << 10;
            now = pace.read(64 << 10, 1, now).unwrap_or(now);
        }
        assert!((7 * BYTES..=9 * BYTES).contains(&read), "{read} bytes in a second");
    }
    #[test]
    fn a_flood_of_short_lines_is_read_more_slowly_than_one_of_long_ones() {
        let start = Instant::now();
        let (mut pace, mut now, mut lines) = (Pace::from(start), start, 0);
        while now < start + Duration::from_secs(10) {
            lines += 8 << 10;
            now = pace.read(16 << 10, 8 << 10, now).unwrap_or(now);
        }
        assert!((560_000..=760_000).contains(&lines), "{lines} lines in ten seconds");
    }
}
