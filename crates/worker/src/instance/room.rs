//! How much of something a volume may hold, where it may hold too much already. Pure.

/// Of what is above its limit: how much may be added, one part in so many of the limit. Who makes room may have to write for it.
const ALLOWANCE: u64 = 32;
/// How far above its limit it may be for its app to start, one part in so many of the limit.
const MARGIN: u64 = 4;

/// A limit that lets nothing grow for long that is above it: what was held too much is the measure only until less is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    limit: u64,
    most: u64,
}

impl Room {
    /// For an instance that finds so much when it starts.
    pub(super) fn at_start(limit: u64, held: u64) -> Self {
        Self { limit, most: most(limit, held) }
    }

    /// How much it may hold now.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Whether what it holds now is within its room, which shrinks with it, down to the limit.
    pub(super) fn has(&mut self, held: u64) -> bool {
        let is_within = held <= self.most;
        self.most = self.most.min(most(self.limit, held));
        is_within
    }
}

fn most(limit: u64, held: u64) -> u64 {
    if held <= limit {
        return limit;
    }
    held.max(held.saturating_add(limit / ALLOWANCE).min(most_at_start(limit)))
}

/// With more than that nothing starts that could write: each start would add what an instance writes until it is ended.
pub(super) fn most_at_start(limit: u64) -> u64 {
    limit.saturating_add(limit / MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1000;

    #[test]
    fn room_follows_what_is_held_downwards_and_never_upwards() {
        let mut room = Room::at_start(LIMIT, 1100);
        assert!(room.has(1100) && room.has(1131) && room.has(1105));
        assert!(room.has(1050) && room.has(1081), "somebody deletes, and writes a little for it");
        assert!(!room.has(1100), "what it had at its start is no room any more");
        let mut room = Room::at_start(LIMIT, 1100);
        assert!(room.has(400) && room.has(1000) && !room.has(1001), "below the limit the limit counts");
        let mut room = Room::at_start(LIMIT, 1240);
        assert!(room.has(1250) && !room.has(1251), "no allowance leads above where nothing starts");
        let mut room = Room::at_start(LIMIT, 5000);
        assert!(room.has(5000) && !Room::at_start(LIMIT, 5000).has(5001) && room.has(4000) && !room.has(4001));
    }

    /// What a volume holds after so many starts of somebody who writes 300 between two looks, whatever the limit.
    fn after(starts: u32, may_start: impl Fn(u64) -> bool, room: impl Fn(u64) -> Room) -> u64 {
        let mut held = 0;
        for _ in 0..starts {
            if !may_start(held) {
                break;
            }
            let mut room = room(held);
            while room.has(held) {
                held += 300;
            }
        }
        held
    }

    #[test]
    fn starts_do_not_add_up() {
        let may_start = |held| held <= most_at_start(LIMIT);
        let room = |held| Room::at_start(LIMIT, held);
        assert!(after(100, may_start, room) <= most_at_start(LIMIT) + 300);
        // The control: what was held too much as the next limit, and anybody starts.
        let all_it_had = |held: u64| Room { limit: LIMIT, most: held.max(LIMIT) };
        assert!(after(100, |_| true, all_it_had) > 100 * 300);
    }
}
