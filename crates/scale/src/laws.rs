//! What each measure asks for. Every law is `ceil(something ÷ target)`; together they are read as "the most that one asks".

use serde::Serialize;

use crate::observed::{Cpu, Observed};
use crate::settings::{Policy, Settings};
use crate::state::{Rate, State};

/// The law that looks ahead, by what came until now.
pub(crate) const ANTICIPATION: &str = "anticipation";
/// The law of how much processor is used.
pub(crate) const CPU: &str = "cpu";

/// What one law says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The law's name.
    pub law: &'static str,
    /// How many it asks for; `None` while its sensor says nothing.
    pub wants: Option<u32>,
    /// Why, in words.
    pub why: String,
}

impl Answer {
    fn blind(law: &'static str, what: &str) -> Self {
        Self { law, wants: None, why: format!("{what} is not known") }
    }
}

/// What all laws of the policies say, in their order, and then what anticipation says: that never counts as blind.
pub(crate) fn answers(seen: &Observed, settings: &Settings, state: &State) -> Vec<Answer> {
    let mut answers: Vec<Answer> =
        settings.policies.iter().map(|policy| answer(*policy, seen, settings, state)).collect();
    for policy in &settings.policies {
        answers.extend(match policy {
            Policy::Cpu(target) => cpu_ahead(*target, state),
            Policy::Backlog(_) | Policy::BacklogPerInstance(_) => ahead(seen, settings, state),
            Policy::InFlight(_) | Policy::Rps(_) => None,
        });
    }
    answers
}

fn answer(policy: Policy, seen: &Observed, settings: &Settings, state: &State) -> Answer {
    match policy {
        Policy::Cpu(target) => cpu(sane(target, 50.0), seen, settings.tolerance),
        Policy::InFlight(target) => per_instance("in-flight", "in flight or parked", seen, sane(target, 1.0)),
        Policy::Backlog(target) => per_instance("backlog", "waiting or worked on", seen, sane(target, 5.0)),
        Policy::BacklogPerInstance(target) => backlog_per_instance(sane(target, 5.0), seen),
        Policy::Rps(target) => rps(sane(target, 1.0), state.rate),
    }
}

/// A target that can be divided by.
fn sane(target: f64, otherwise: f64) -> f64 {
    if target.is_finite() && target > 0.0 { target } else { otherwise }
}

/// HPA's law: n · use ÷ target, where instances that said nothing used nothing when it is about more, and all of their
/// target when it is about fewer.
fn cpu(target: f64, seen: &Observed, tolerance: f64) -> Answer {
    let Some(Cpu { percent, reporting }) = seen.cpu else {
        return match seen.ready {
            0 if !seen.is_busy() => Answer { law: CPU, wants: Some(0), why: "no instance runs".to_owned() },
            _ => Answer::blind(CPU, "use of processor"),
        };
    };
    let ready = f64::from(seen.ready.max(reporting));
    let silent = ready - f64::from(reporting);
    let used = percent * f64::from(reporting);
    let used = if percent > target { used } else { used + silent * target };
    let ratio = used / ready / target;
    // With those that said nothing the ratio may point the other way than without: then nobody knows.
    let known = (ratio > 1.0) == (percent > target);
    let near = (ratio - 1.0).abs() <= tolerance.max(0.0);
    let wants = if near || !known { ready } else { (ready * ratio).ceil() };
    let heard = if silent > 0.0 { format!(", {silent} of them silent") } else { String::new() };
    Answer {
        law: CPU,
        wants: Some(wants as u32),
        why: format!("{ready} ready at {percent:.0} % of {target:.0} %{heard}"),
    }
}

fn per_instance(law: &'static str, what: &str, seen: &Observed, target: f64) -> Answer {
    let Some(load) = seen.load() else { return Answer::blind(law, &format!("what is {what}")) };
    Answer { law, wants: Some((load / target).ceil() as u32), why: format!("{load:.0} {what}, {target} for each") }
}

/// Below this share of its target a backlog allows fewer; between, nothing changes.
const BAND: f64 = 0.5;

/// Target tracking on what is visible. At the right size that is close to nothing, whatever the load: so whoever holds a message is
/// not in excess, and anticipation says what is needed besides.
fn backlog_per_instance(target: f64, seen: &Observed) -> Answer {
    const LAW: &str = "backlog_per_instance";
    // Whoever tells one of them tells the other.
    let (Some(visible), Some(holders)) = (seen.waiting, seen.holders()) else {
        return Answer::blind(LAW, "ApproximateNumberOfMessagesVisible, or what is in flight,");
    };
    // With none in service the backlog is as one's.
    let in_service = seen.ready.max(1);
    let each = visible / f64::from(in_service);
    let why = format!(
        "ApproximateNumberOfMessagesVisible {visible:.0} ÷ InServiceInstances {} is {each:.1}, of {target:.1}",
        seen.ready
    );
    let asked = (visible / target).ceil() as u32;
    let there = seen.ready.saturating_add(seen.starting);
    let is_near = each <= target && each >= target * BAND;
    let wants = asked.max(holders).max(if is_near { there } else { 0 });
    Answer { law: LAW, wants: Some(wants), why }
}

fn rps(target: f64, rate: Option<Rate>) -> Answer {
    let Some(rate) = rate else { return Answer::blind("rps", "the rate of requests") };
    Answer {
        law: "rps",
        wants: Some((rate.planned / target).ceil() as u32),
        why: format!("{}, {target} for each", words(rate)),
    }
}

/// Little's law: λ · S slots are busy. A backlog on top, as it will be when an instance that starts now serves, is
/// worked off within `drain_ms` of that.
fn ahead(seen: &Observed, settings: &Settings, state: &State) -> Option<Answer> {
    let (rate, service_s) = (state.rate?, state.service_s?);
    let slots = sane(settings.slots, 1.0);
    let steady = busy(rate.planned, service_s, settings);
    let boot_s = seen.boot_s.unwrap_or(0.0);
    let drain_s = (settings.drain_ms.max(1000) as f64) / 1000.0;
    let horizon_s = boot_s + drain_s;
    let work = (seen.waiting.unwrap_or(0.0) + rate.planned * horizon_s) * service_s;
    // Of those that start nobody knows how far they are: half-way is the mean.
    let (ready, starting) = (f64::from(seen.ready), f64::from(seen.starting));
    let done = (ready * horizon_s + starting * (horizon_s - boot_s / 2.0)) * slots;
    // Randomness leaves some work at any time; only what exceeds the spare slots is a backlog.
    let short = (work - done).max(0.0) / (drain_s * slots);
    let catch_up = if short > 0.0 { ready + starting + short } else { 0.0 };
    let wants = steady.max(catch_up).ceil() as u32;
    let why = format!("{} of {service_s:.3} s keep {:.1} slots busy", words(rate), rate.planned * service_s);
    let why = if catch_up > steady { format!("{why}, and the backlog {boot_s:.0} s from now needs more") } else { why };
    Some(Answer { law: ANTICIPATION, wants: Some(wants), why })
}

/// Instances that so many a second keep busy, with room for randomness.
pub(crate) fn busy(rate: f64, service_s: f64, settings: &Settings) -> f64 {
    let room = settings.use_of_slots;
    let room = if room > 0.05 && room <= 1.0 { room } else { 0.8 };
    rate * service_s / (sane(settings.slots, 1.0) * room)
}

/// What a request costs was learned while there was processor to spare: a full one shows no more than full.
fn cpu_ahead(target: f64, state: &State) -> Option<Answer> {
    let (rate, cost) = (state.rate?, state.cpu_per_request?);
    let wants = (rate.planned * cost / sane(target, 50.0)).ceil() as u32;
    let why = format!("{} cost {cost:.2} % of a processor each", words(rate));
    Some(Answer { law: ANTICIPATION, wants: Some(wants), why })
}

/// Learns what a request costs.
pub(crate) fn learn_cost(seen: &Observed, settings: &Settings, state: &mut State) {
    /// Of fewer in the slow window, what a program uses to start and to idle is most of what is seen.
    const REQUESTS_MIN: f64 = 60.0;
    /// Above this, what is used says little of what is needed.
    const FULL_PERCENT: f64 = 80.0;
    let (Some(cpu), Some(rate)) = (seen.cpu, state.rate) else { return };
    if rate.surge
        || rate.slow * (settings.slow_ms as f64) < REQUESTS_MIN * 1000.0
        || cpu.percent > FULL_PERCENT
        || cpu.reporting < seen.ready
    {
        return;
    }
    let cost = cpu.percent * f64::from(cpu.reporting) / rate.slow;
    state.cpu_per_request = Some(state.cpu_per_request.map_or(cost, |old| old + (cost - old) * 0.05));
}

fn words(rate: Rate) -> String {
    let surge = if rate.surge { format!(" (a surge: {:.1} is usual)", rate.slow) } else { String::new() };
    format!("{:.1} a second{surge}", rate.planned)
}
