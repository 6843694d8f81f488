//! One target of several: the cheapest of all where they are few, else the cheaper of two at random.

use std::cmp::Ordering as Order;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::live::Live;
use crate::settings::Limits;
use crate::target::TargetId;

/// Up to so many are all looked at.
const FEW: usize = 8;
/// What a target that has just become healthy counts at least, of its whole share.
const SLOW_START_FROM: f32 = 0.1;

/// What a choice depends on beside the targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) limits: Limits,
    /// The window in nanoseconds, where it applies now.
    pub(crate) slow_start: Option<u64>,
    /// Targets that have failed this request.
    pub(crate) tried: &'a [TargetId],
    pub(crate) now: u64,
    pub(crate) random: u64,
}

/// One of the targets that anything may be given to. `Live::load` is what a request's place is taken from.
pub(crate) struct Candidate {
    pub(crate) live: Arc<Live>,
    pub(crate) healthy_since: u64,
}

/// Lower is better. Over the soft limit is behind all that are not.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Cost(bool, f32);

/// Why none was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotChosen {
    /// There is none but those tried.
    None,
    /// All have as many requests as they may have.
    Full,
}

/// Chooses, and takes the place.
pub(crate) fn choose<'a>(candidates: &'a [Candidate], choice: &Choice<'_>) -> Result<&'a Arc<Live>, NotChosen> {
    if candidates.len() > FEW
        && let Some(live) = cheaper_of_two(candidates, choice)
    {
        return Ok(live);
    }
    cheapest(candidates, choice)
}

fn cheaper_of_two<'a>(candidates: &'a [Candidate], choice: &Choice<'_>) -> Option<&'a Arc<Live>> {
    let (low, high) = (choice.random & 0xffff_ffff, choice.random >> 32);
    let first = below(low, candidates.len());
    let second = below(high, candidates.len() - 1);
    // Of the others: the place of the first is left out.
    let second = if second >= first { second + 1 } else { second };
    let (first, second) = (candidates.get(first)?, candidates.get(second)?);
    let [better, worse] = match (first.cost(choice), second.cost(choice)) {
        (Some(a), Some(b)) if b < a => [Some(second), Some(first)],
        (Some(_), Some(_)) => [Some(first), Some(second)],
        (Some(_), None) => [Some(first), None],
        (None, Some(_)) => [Some(second), None],
        (None, None) => return None,
    };
    let entered = |one: &&Candidate| one.live.load.try_enter(choice.limits.hard);
    better.filter(entered).or_else(|| worse.filter(entered)).map(|one| &one.live)
}

/// Looks at all, beginning anywhere, so that equal ones take turns.
fn cheapest<'a>(candidates: &'a [Candidate], choice: &Choice<'_>) -> Result<&'a Arc<Live>, NotChosen> {
    let (before, from) = candidates.split_at(below(choice.random >> 32, candidates.len()));
    // Each turn that finds its best one taken meanwhile finds one that is full or closed: it is not looked at again.
    for _ in 0..=candidates.len() {
        let costs = from.iter().chain(before).filter_map(|one| Some((one.cost(choice)?, one)));
        let best = costs.reduce(|best, next| match next.0.partial_cmp(&best.0) {
            Some(Order::Less) => next,
            Some(Order::Equal | Order::Greater) | None => best,
        });
        let Some((_, best)) = best else { break };
        if best.live.load.try_enter(choice.limits.hard) {
            return Ok(&best.live);
        }
    }
    let is_open = |one: &Candidate| one.live.load.open_with().is_some() && !choice.has_tried(&one.live);
    Err(if candidates.iter().any(is_open) { NotChosen::Full } else { NotChosen::None })
}

impl Candidate {
    /// What one more request would cost there; `None` where it may not be given any.
    fn cost(&self, choice: &Choice<'_>) -> Option<Cost> {
        let in_flight = self.live.load.open_with().filter(|count| *count < choice.limits.hard)?;
        if choice.has_tried(&self.live) {
            return None;
        }
        let weight = f32::from(self.live.weight.load(Ordering::Relaxed)).max(1.0) * self.part(choice);
        let cost = (in_flight as f32 + 1.0) * self.live.latency.nanos(choice.now) / weight;
        Some(Cost(choice.limits.soft.is_some_and(|soft| in_flight >= soft), cost))
    }

    /// The part of its share that it has reached.
    fn part(&self, choice: &Choice<'_>) -> f32 {
        let Some(window) = choice.slow_start.filter(|window| *window > 0) else { return 1.0 };
        let age = choice.now.saturating_sub(self.healthy_since);
        (age as f32 / window as f32).clamp(SLOW_START_FROM, 1.0)
    }
}

impl Choice<'_> {
    fn has_tried(&self, live: &Live) -> bool {
        self.tried.contains(&live.target.id)
    }
}

/// A number below `count`, from 32 random bits.
fn below(random: u64, count: usize) -> usize {
    let wide = (random & 0xffff_ffff) * (count as u64);
    usize::try_from(wide >> 32).unwrap_or(0)
}
