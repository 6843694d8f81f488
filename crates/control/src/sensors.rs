//! What was heard of the load of one app, and what of it is fresh enough to decide by. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use skylift_bus::{Load, Used};
use skylift_scale::{Cpu, Observed};
use skylift_store::Scaled;

/// How long what was heard is true. Who tells does so every second.
const FRESH: Duration = Duration::from_secs(5);

/// What edges and nodes said of an app, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sensors {
    edges: HashMap<String, (Instant, Load)>,
    nodes: HashMap<String, (Instant, Used)>,
}

impl Sensors {
    /// An edge said how much is asked. One that tells that somebody waits has not counted anything else.
    pub(crate) fn hear_load(&mut self, edge: &str, load: Load, now: Instant) {
        let is_alarm = load.over_ms == 0;
        match self.edges.get_mut(edge) {
            Some((_, known)) if is_alarm => known.waiting = known.waiting.max(load.waiting),
            Some(known) => *known = (now, load),
            None => drop(self.edges.insert(edge.to_owned(), (now, load))),
        }
    }

    /// A node said how much is used.
    pub(crate) fn hear_used(&mut self, node: &str, used: Used, now: Instant) {
        self.nodes.insert(node.to_owned(), (now, used));
    }

    /// What is known now. What nobody has said lately is not known, which is not zero.
    pub(crate) fn observe(&mut self, app: &Scaled, now: Instant) -> Observed {
        self.edges.retain(|_, (at, _)| now.saturating_duration_since(*at) < FRESH);
        self.nodes.retain(|_, (at, _)| now.saturating_duration_since(*at) < FRESH);
        let loads = || self.edges.values().map(|(_, load)| load);
        let sum = |of: fn(&Load) -> u64| loads().map(of).sum::<u64>() as f64;
        let is_heard = !self.edges.is_empty();
        let counted = is_heard && loads().all(|load| load.over_ms > 0);
        let rate: f64 = loads().map(|load| load.arrived as f64 * 1000.0 / load.over_ms.max(1) as f64).sum();
        // The mean over the time that was counted: what happens to be in flight at one moment says little of the others.
        let in_flight: f64 = loads().map(|load| load.held_us as f64 / 1000.0 / load.over_ms.max(1) as f64).sum();
        let ended = sum(|load| load.ended);
        Observed {
            ready: app.ready,
            starting: app.starting,
            cpu: self.cpu(),
            waiting: is_heard.then(|| sum(|load| load.waiting)),
            in_flight: counted.then_some(in_flight),
            holding: None,
            arrivals_per_s: counted.then_some(rate),
            service_s: (ended > 0.0).then(|| sum(|load| load.busy_us) / ended / 1e6),
            boot_s: app.boot_ms.map(|ms| ms as f64 / 1000.0),
        }
    }

    fn cpu(&self) -> Option<Cpu> {
        let reporting: u32 = self.nodes.values().map(|(_, used)| used.reporting).sum();
        let hundredths: f64 =
            self.nodes.values().map(|(_, used)| f64::from(used.cpu) * f64::from(used.reporting)).sum();
        (reporting > 0).then(|| Cpu { percent: hundredths / f64::from(reporting) / 100.0, reporting })
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::wire::Scaling;

    use super::*;

    fn app(ready: u32) -> Scaled {
        Scaled {
            app: "shop".parse().unwrap(),
            scaling: Scaling::default(),
            stopped: false,
            wanted: 1,
            ready,
            starting: 1,
            boot_ms: Some(1500),
        }
    }

    #[test]
    fn what_several_say_adds_up_and_what_is_old_is_not_known() {
        let (mut sensors, began) = (Sensors::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        let nothing = Observed { ready: 2, starting: 1, boot_s: Some(1.5), ..Observed::default() };
        assert_eq!(sensors.observe(&app(2), at(0)), nothing);
        let load = Load { over_ms: 1000, arrived: 10, ended: 4, busy_us: 2_000_000, waiting: 1, held_us: 2_500_000 };
        sensors.hear_load("a", load, at(0));
        sensors.hear_load("b", Load { over_ms: 500, ..load }, at(1000));
        sensors.hear_used("n", Used { reporting: 1, cpu: 9000 }, at(1000));
        sensors.hear_used("m", Used { reporting: 2, cpu: 3000 }, at(1000));
        let seen = sensors.observe(&app(2), at(1000));
        assert_eq!((seen.waiting, seen.in_flight, seen.arrivals_per_s), (Some(2.0), Some(7.5), Some(30.0)));
        assert_eq!((seen.service_s, seen.cpu), (Some(0.5), Some(Cpu { percent: 50.0, reporting: 3 })));
        assert_eq!(sensors.observe(&app(2), at(5500)).arrivals_per_s, Some(20.0), "one of them is not heard any more");
        assert_eq!(sensors.observe(&app(2), at(6000)), nothing);
    }

    #[test]
    fn somebody_who_waits_is_seen_at_once_and_nothing_else_is_made_up() {
        let (mut sensors, now) = (Sensors::default(), Instant::now());
        let alarm = Load { waiting: 1, ..Load::default() };
        sensors.hear_load("a", alarm, now);
        let seen = sensors.observe(&app(0), now);
        assert_eq!((seen.waiting, seen.in_flight, seen.arrivals_per_s), (Some(1.0), None, None));
        sensors.hear_load("a", Load { over_ms: 1000, arrived: 7, waiting: 3, ..Load::default() }, now);
        sensors.hear_load("a", alarm, now);
        let seen = sensors.observe(&app(0), now);
        assert_eq!((seen.waiting, seen.arrivals_per_s), (Some(3.0), Some(7.0)), "what was counted is still true");
    }
}
