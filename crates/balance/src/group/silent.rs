//! Who owes answers and gives none is left alone, and comes back with the first answer.

use std::sync::Arc;
use std::time::Instant;

use super::{Group, Inner};
use crate::live::Live;
use crate::settings::nanos;
use crate::snapshot::is_available;
use crate::target::TargetId;

impl Group {
    /// Whether a target that was picked is silent, and is asked nothing new from here on. Whoever can find out is told.
    pub(super) fn leaves_alone(&self, live: &Arc<Live>, now: Instant) -> bool {
        let inner = &self.0;
        let at = inner.since_origin(now);
        let rules = &inner.settings.ejection;
        let Some(since) = live.silence.since(at, rules) else { return false };
        let look_at = since.saturating_add(live.silence.bound(live.latency.last(), rules));
        if at < look_at {
            live.silence.look_again_at(look_at);
            return false;
        }
        let left_alone = {
            let changing = inner.changing();
            // Where nobody answers, it is nothing of its own that keeps it from it.
            let mut others = changing.members.iter().filter(|other| !Arc::ptr_eq(other, live));
            let is_alone = others.any(|other| is_available(other, at) && other.silence.has_answered_since(since));
            if is_alone { inner.eject_in(&changing, live, at) } else { None }
        };
        let Some(ejected) = left_alone else {
            live.silence.look_again_at(at.saturating_add(nanos(rules.silent_after)));
            return false;
        };
        live.silence.begin();
        if let Some(hooks) = &inner.hooks {
            hooks.silent(self, &live.target, ejected.lasts);
        }
        true
    }

    /// A target that was left alone for its silence has answered somebody's question: it goes on, and the next suspicion takes twice as
    /// long. Whether it was still left alone.
    pub fn heard(&self, id: &TargetId, now: Instant) -> bool {
        let known = self.0.changing().members.iter().find(|live| live.target.id == *id).cloned();
        let Some(live) = known.filter(|live| live.silence.is_silent()) else { return false };
        live.silence.was_wrong();
        self.0.end_silence(&live, self.0.since_origin(now));
        true
    }
}

impl Inner {
    /// It has answered: nothing is held against it.
    pub(crate) fn end_silence(&self, live: &Arc<Live>, at: u64) {
        let changing = self.changing();
        let Some(times) = live.silence.end() else { return };
        {
            let mut standing = live.standing();
            (standing.ejected_until, standing.healthy_since, standing.back_in_at) = (None, at, at);
            standing.ejections = standing.ejections.saturating_sub(times);
        }
        self.publish(&changing, at);
    }
}
