//! Who gets how much of the pools' memory: what most runs a second are ready by, for a byte, comes first.
//!
//! The first place of a pool needs what is loaded for it, too, and is for all of its runs. Each further one is for those that need
//! exactly that many. What is there counts half as much again, so that equals do not take turns.

use std::collections::BTreeMap;

use super::pool::Pool;

/// Used no more often than this, a pool is still worth something while it is wanted: once in five minutes.
const RATE_MIN: f64 = 1.0 / 300.0;
const THERE: f64 = 1.5;

/// What a pool would like to have.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    name: String,
    /// (runs a second, bytes) of each place in turn.
    places: Vec<(f64, f64)>,
}

impl Claim {
    pub(super) fn of(name: &str, pool: &Pool, depth: u32) -> Self {
        let rate = pool.slow.max(RATE_MIN);
        let place = |nth: u32| {
            let share = if nth == 1 { 1.0 } else { pool.needs.exactly(nth) };
            let bytes = pool.place_bytes + if nth == 1 { pool.base_bytes } else { 0.0 };
            (rate * share * if nth <= pool.depth { THERE } else { 1.0 }, bytes)
        };
        Self { name: name.to_owned(), places: (1..=depth).map(place).collect() }
    }

    fn bytes(&self, depth: usize) -> f64 {
        self.places.iter().take(depth).map(|(_, bytes)| bytes).sum()
    }
}

/// What each gets.
pub(super) struct Shared {
    pub(super) depths: BTreeMap<String, u32>,
    pub(super) room_bytes: f64,
}

/// Shares so many bytes out.
pub(super) fn out(claims: &[Claim], bytes: f64) -> Shared {
    let all: f64 = claims.iter().map(|claim| claim.bytes(usize::MAX)).sum();
    if all <= bytes {
        let depths = claims.iter().map(|claim| (claim.name.clone(), claim.places.len() as u32)).collect();
        return Shared { depths, room_bytes: bytes - all };
    }
    let mut granted = vec![0_usize; claims.len()];
    let mut room_bytes = bytes;
    loop {
        let next = claims.iter().zip(granted.iter_mut()).filter_map(|(claim, granted)| {
            let (runs, bytes) = claim.places.get(*granted).copied()?;
            (bytes <= room_bytes).then_some((runs / bytes.max(1.0), bytes, granted))
        });
        // The first of equals.
        let best = next.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((_, bytes, granted)) = best else { break };
        *granted += 1;
        room_bytes -= bytes;
    }
    let depths = claims.iter().zip(granted).map(|(claim, got)| (claim.name.clone(), got as u32)).collect();
    Shared { depths, room_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, places: &[(f64, f64)]) -> Claim {
        Claim { name: name.into(), places: places.to_vec() }
    }

    fn shared(claims: &[Claim], bytes: f64) -> Vec<u32> {
        out(claims, bytes).depths.into_values().collect()
    }

    #[test]
    fn what_most_runs_are_ready_by_for_a_byte_comes_first_and_the_bound_holds() {
        let claims = [
            claim("a", &[(10.0, 10.0), (2.0, 2.0), (0.2, 2.0)]),
            claim("b", &[(4.0, 10.0), (1.5, 2.0)]),
            claim("c", &[(0.1, 10.0)]),
        ];
        assert_eq!(shared(&claims, 100.0), [3, 2, 1]);
        assert_eq!(shared(&claims, 26.0), [3, 2, 0]);
        assert_eq!(shared(&claims, 24.0), [2, 2, 0]);
        assert_eq!(shared(&claims, 13.0), [2, 0, 0], "a whole pool has no room");
        assert_eq!(shared(&claims, 0.0), [0, 0, 0]);
    }
}
