//! How many instances there should be.
//!
//! Out at once if any law asks. In only if all agree, to no less than the most that was wanted in the hold, by at most a share
//! a minute, and not while instances start, in a surge, or while a sensor is silent. Workers of runs go in at once when drained.

use serde::Serialize;

use crate::laws::{self, Answer};
use crate::observed::Observed;
use crate::settings::{Drained, Settings};
use crate::state::State;

/// How long a drained backlog is not trusted after an in-step that was too early, in holds.
const PATIENCE_HOLDS: u64 = 10;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// More.
    Out,
    /// As many.
    Stay,
    /// Fewer. Who goes: whoever still starts, then whoever has the fewest in flight, the newest of those.
    In,
}

/// A decision and its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// How many there should be.
    pub desired: u32,
    /// How many there should have been before.
    pub from: u32,
    /// Which way that is.
    pub step: Step,
    /// Why, in words.
    pub reason: String,
    /// What each law said.
    pub answers: Vec<Answer>,
}

/// How many instances there should be, by what is seen, what is remembered, and the time (milliseconds of any clock).
///
/// Never panics, never leaves the bounds. A clock that goes back stops the holds, no more.
pub fn decide(seen: &Observed, settings: &Settings, state: &mut State, now_ms: u64) -> Decision {
    let seen = &seen.sane();
    let (min, max) = settings.bounds();
    let from = state.desired.unwrap_or_else(|| seen.ready.saturating_add(seen.starting));
    if state.desired.is_none() {
        // Nothing is known of the time before: what runs was wanted.
        state.want(from.clamp(min, max));
    }
    state.take_in(seen, settings, now_ms);
    let answers = laws::answers(seen, settings, state);
    laws::learn_cost(seen, settings, state);
    let Wish { wanted, why } = wish(&answers, seen, settings, state, from);
    state.want(wanted);
    let (desired, reason) = match (drained(&answers, seen, settings, state, from), wanted.cmp(&from)) {
        (Some(drained), _) => drained,
        (None, std::cmp::Ordering::Greater) => (wanted, why),
        (None, std::cmp::Ordering::Equal) => (from, why),
        (None, std::cmp::Ordering::Less) => step_in(wanted, &why, &answers, seen, settings, state, from),
    };
    remember(desired, from, settings, state);
    let step = match desired.cmp(&from) {
        std::cmp::Ordering::Greater => Step::Out,
        std::cmp::Ordering::Equal => Step::Stay,
        std::cmp::Ordering::Less => Step::In,
    };
    Decision { desired, from, step, reason, answers }
}

/// What is wanted at this tick, within the bounds.
struct Wish {
    wanted: u32,
    why: String,
}

fn wish(answers: &[Answer], seen: &Observed, settings: &Settings, state: &mut State, from: u32) -> Wish {
    let (min, max) = settings.bounds();
    let floor = floor(seen, settings, state, from);
    // What was asked before it was idle says nothing of what sleeps, or is about to; nor does the processor that it uses though
    // nobody asks: there is hardly a program that uses none.
    let sleeps = floor == 0 && min == 0;
    let rests = rests(seen, settings, state);
    let is_past =
        |law| (sleeps && [laws::ANTICIPATION, laws::CPU].contains(&law)) || (rests && law == laws::ANTICIPATION);
    let heard = answers.iter().filter(|answer| !is_past(answer.law));
    // The first of equals: the owner's own policies come before anticipation.
    let most = heard.rev().max_by_key(|answer| answer.wants);
    let (asked, why) =
        most.map_or((floor, if sleeps { "nobody asks" } else { "no policy is set" }.to_owned()), |most| {
            let asked = most.wants.unwrap_or(from);
            (asked, format!("{} asks for {asked}: {}", most.law, most.why))
        });
    let wanted = asked.max(floor).clamp(min, max);
    let why = match () {
        () if wanted < asked => format!("{why}; {max} is the most allowed"),
        () if wanted > asked && wanted == min => format!("{why}; {min} is the least allowed"),
        () if wanted > asked && from == 0 => "requests came while none was there".to_owned(),
        () if wanted > asked => format!("{why}; one stays until it was idle for {} s", idle_ms(settings) / 1000),
        () => why,
    };
    Wish { wanted, why }
}

/// Whether a backlog was drained and nothing has come since the last tick: what came before is no reason to expect it once more, or
/// whoever just went would be asked for again.
fn rests(seen: &Observed, settings: &Settings, state: &State) -> bool {
    let nothing_came = seen.waiting == Some(0.0) && seen.arrivals_per_s == Some(0.0);
    settings.drained == Drained::AtOnce && nothing_came && state.within(state.drained_in_ms, settings.slow_ms)
}

fn idle_ms(settings: &Settings) -> u64 {
    settings.idle_ms.saturating_add(settings.idle_grace_ms)
}

/// One, while there is work or it has not been idle for long enough; nothing wakes what sleeps but work.
fn floor(seen: &Observed, settings: &Settings, state: &State, from: u32) -> u32 {
    let idle = state.idle_since_ms.is_some() && !state.within(state.idle_since_ms, idle_ms(settings));
    u32::from(seen.is_busy() || (from > 0 && !idle))
}

/// With a drained backlog everybody goes who holds nothing, but for those that what came in the last tick keeps busy: what came before
/// says nothing any more.
fn drained(
    answers: &[Answer],
    seen: &Observed,
    settings: &Settings,
    state: &mut State,
    from: u32,
) -> Option<(u32, String)> {
    if settings.drained != Drained::AtOnce || seen.waiting != Some(0.0) || state.is_patient() {
        return None;
    }
    let holders = seen.holders()?;
    let arrived = seen.arrivals_per_s?;
    let busy = match state.service_s {
        _ if arrived == 0.0 => 0,
        Some(service_s) => laws::busy(arrived, service_s, settings).ceil() as u32,
        None => return None,
    };
    // In only if all policies agree; who sees nothing does not.
    let mut asked = 0;
    for answer in answers.iter().filter(|answer| answer.law != laws::ANTICIPATION) {
        asked = asked.max(answer.wants?);
    }
    let (min, max) = settings.bounds();
    let least = asked.max(holders).max(busy).max(floor(seen, settings, state, from)).clamp(min, max);
    if least >= from {
        return None;
    }
    state.drained_in_ms = Some(state.clock_ms);
    Some((least, format!("drained: nothing waits, {holders} hold something, {busy} are kept busy by what arrives")))
}

/// How far in a wish may go, and why not further.
fn step_in(
    wanted: u32,
    why: &str,
    answers: &[Answer],
    seen: &Observed,
    settings: &Settings,
    state: &mut State,
    from: u32,
) -> (u32, String) {
    let max = settings.bounds().1;
    let most = state.most_wanted(settings.in_hold_ms);
    // What the owner forbids is left at once, whatever is seen.
    let stay = from.min(max);
    if let Some(blind) = answers.iter().find(|answer| answer.wants.is_none()) {
        return (stay, format!("{} sees nothing ({}), so nothing is scaled in", blind.law, blind.why));
    }
    if seen.starting > 0 && state.within(state.last_out_ms, settings.warm_up_ms_max) {
        return (stay, format!("{why}; but {} still start", seen.starting));
    }
    if wanted == 0 && from == 1 {
        return (0, format!("idle for {} s", idle_ms(settings) / 1000));
    }
    if in_panic(seen, settings, state) {
        return (stay, format!("{why}; but there was a surge less than {} s ago", settings.slow_ms / 1000));
    }
    let held = most.min(stay);
    if held > wanted && held == stay {
        return (stay, format!("{why}; but {most} were wanted in the last {} s", settings.in_hold_ms / 1000));
    }
    let (least, limited) = least_of_step(held, settings, state, from);
    let least = least.min(stay);
    let limit = if limited {
        format!("; at most {} % go in {} s", settings.in_percent_max, settings.in_step_ms / 1000)
    } else {
        String::new()
    };
    (least, format!("{why}; the most in the last {} s was {most}{limit}", settings.in_hold_ms / 1000))
}

/// The least that the share allows, of how many there were when the current step's time began.
fn least_of_step(held: u32, settings: &Settings, state: &mut State, from: u32) -> (u32, bool) {
    while state.steps_in.front().is_some_and(|(at, _)| !state.within(Some(*at), settings.in_step_ms)) {
        state.steps_in.pop_front();
    }
    let before = state.steps_in.front().map_or(from, |(_, before)| *before);
    let share = u64::from(before) * u64::from(settings.in_percent_max.min(100)) / 100;
    let least = before.saturating_sub((share as u32).max(1));
    (held.max(least).min(from), least > held)
}

fn in_panic(seen: &Observed, settings: &Settings, state: &mut State) -> bool {
    if let (Some(rate), Some(service_s)) = (state.rate, state.service_s) {
        let needed = laws::busy(rate.fast, service_s, settings);
        if rate.surge && needed >= settings.panic_ratio.max(1.0) * f64::from(seen.ready.max(1)) {
            state.panic_ms = Some(state.clock_ms);
        }
    }
    state.within(state.panic_ms, settings.slow_ms)
}

impl State {
    /// Whether a drained backlog lately came back too soon to be trusted.
    fn is_patient(&self) -> bool {
        self.patient_until_ms.is_some_and(|until| self.clock_ms < until)
    }
}

fn remember(desired: u32, from: u32, settings: &Settings, state: &mut State) {
    state.desired = Some(desired);
    if desired > from {
        state.last_out_ms = Some(state.clock_ms);
        state.steps_in.clear();
        if state.within(state.drained_in_ms, settings.in_hold_ms) {
            let patience_ms = settings.in_hold_ms.saturating_mul(PATIENCE_HOLDS);
            state.patient_until_ms = Some(state.clock_ms.saturating_add(patience_ms));
        }
    }
    if desired < from {
        /// More steps than this within the time of one are counted as one: the oldest is what matters.
        const STEPS_MAX: usize = 64;
        if state.steps_in.len() < STEPS_MAX {
            state.steps_in.push_back((state.clock_ms, from));
        }
    }
}

#[cfg(test)]
mod tests;
