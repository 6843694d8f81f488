//! What is asked of instances only where their disk is nearly full. A file that was removed and sent into a socket takes room, and
//! nobody can see how much.

use std::path::Path;

/// How much a disk has left by then, and which part of it where that is less.
const RESERVE: u64 = 1 << 30;
const RESERVE_SHARE: u64 = 20;

/// Whether the disk of any of these folders has little left.
pub(super) fn is_scarce_at<'a>(mut folders: impl Iterator<Item = &'a Path>) -> bool {
    folders.any(|folder| {
        let disk = rustix::fs::statvfs(folder);
        disk.is_ok_and(|disk| {
            is_scarce(disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize))
        })
    })
}

fn is_scarce(free: u64, all: u64) -> bool {
    free < RESERVE.min(all / RESERVE_SHARE)
}

/// How many descriptors an instance keeps in its sockets, by two looks in a row: what was only on its way has arrived by the second.
pub(super) fn hidden(before: u64, now: u64) -> Option<u64> {
    Some(before.min(now)).filter(|kept| *kept > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disk_that_is_nearly_full_is_scarce() {
        assert!(is_scarce((1 << 30) - 1, 100 << 30) && !is_scarce(1 << 30, 100 << 30));
        assert!(is_scarce(40, 1000) && !is_scarce(50, 1000), "a small one has a small reserve");
        assert!(!is_scarce_at([Path::new("/proc/none/such")].into_iter()), "what is not there is not full");
    }

    #[test]
    fn descriptors_on_their_way_are_no_fault_until_they_stay() {
        assert_eq!((hidden(0, 9), hidden(9, 0)), (None, None));
        assert_eq!(hidden(15, 16), Some(15));
    }
}
