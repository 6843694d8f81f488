//! Who may be picked at the moment: made anew whenever something changes, read by every pick without a lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::choose::Candidate;
use crate::eject::{Standing, fails_open};
use crate::live::Live;
use crate::settings::{Settings, nanos};
use crate::split::{Share, Split};
use crate::target::TargetId;

/// What a pick reads.
pub(crate) struct Snapshot {
    /// Targets of all versions but the canary.
    pub(crate) stable: Box<[Candidate]>,
    pub(crate) canary: Box<[Candidate]>,
    pub(crate) share: Option<Share>,
    /// When it has to be made again, in nanoseconds of the group's time: somebody's ejection ends.
    pub(crate) again_at: u64,
    /// Whether targets are used that should not be, because so few should.
    pub(crate) fails_open: bool,
    /// When the slow start of the newest ends; 0 where nobody's counts.
    pub(crate) slow_until: u64,
}

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self {
            stable: Box::default(),
            canary: Box::default(),
            share: None,
            again_at: u64::MAX,
            fails_open: false,
            slow_until: 0,
        }
    }

    pub(crate) fn of(members: &[Arc<Live>], split: Option<&Split>, settings: &Settings, now: u64) -> Self {
        let fails_open = fails_open(standing(members, now), &settings.ejection);
        let usable = |live: &&Arc<Live>| {
            live.weight.load(Ordering::Relaxed) > 0 && is_serving(live) && (fails_open || is_available(live, now))
        };
        let candidate =
            |live: &Arc<Live>| Candidate { live: live.clone(), healthy_since: live.standing().healthy_since };
        let is_canary = |live: &Live| split.is_some_and(|split| split.canary == live.target.deployment);
        let (canary, stable): (Vec<_>, Vec<_>) =
            members.iter().filter(usable).map(candidate).partition(|one| is_canary(&one.live));
        let slow_until = slow_until(stable.iter().chain(&canary), settings);
        Self {
            stable: stable.into(),
            canary: canary.into(),
            share: split.map(|split| split.share),
            again_at: members.iter().filter_map(|live| live.standing().ejected_until).min().unwrap_or(u64::MAX),
            fails_open,
            slow_until,
        }
    }

    /// How many may be picked.
    pub(crate) fn len(&self) -> usize {
        self.stable.len() + self.canary.len()
    }

    /// The one of that name, if it may be picked.
    pub(crate) fn find(&self, id: &TargetId) -> Option<&Arc<Live>> {
        self.all().find(|live| live.target.id == *id)
    }

    /// Those of both versions.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Live>> {
        self.stable.iter().chain(&self.canary).map(|one| &one.live)
    }

    /// Both versions, in the order in which they are to be asked.
    pub(crate) fn in_turn(&self, turn: impl FnOnce() -> u64) -> [&[Candidate]; 2] {
        let Some(share) = self.share.filter(|_| !self.canary.is_empty()) else { return [&self.stable, &[]] };
        if share.has(turn()) { [&self.canary, &self.stable] } else { [&self.stable, &self.canary] }
    }
}

/// How the targets stand.
pub(crate) fn standing(members: &[Arc<Live>], now: u64) -> Standing {
    let mut standing = Standing::default();
    for live in members.iter().filter(|live| is_serving(live)) {
        standing.serving += 1;
        standing.ejected += usize::from(is_ejected(live, now));
        standing.available += usize::from(is_available(live, now));
    }
    standing
}

fn is_serving(live: &Live) -> bool {
    !live.load.is_closed() && live.standing().health != crate::Health::Starting
}

fn is_ejected(live: &Live, now: u64) -> bool {
    live.standing().ejected_until.is_some_and(|until| until > now)
}

pub(crate) fn is_available(live: &Live, now: u64) -> bool {
    live.standing().health.is_healthy() && !is_ejected(live, now)
}

/// A slow start counts only beside somebody who has had his: among new ones it would only say that they are equal.
fn slow_until<'a>(candidates: impl Iterator<Item = &'a Candidate>, settings: &Settings) -> u64 {
    let Some(window) = settings.slow_start else { return 0 };
    let window = nanos(window);
    let (mut oldest, mut newest) = (u64::MAX, 0);
    for one in candidates {
        oldest = oldest.min(one.healthy_since);
        newest = newest.max(one.healthy_since);
    }
    if newest >= oldest.saturating_add(window) { newest.saturating_add(window) } else { 0 }
}
