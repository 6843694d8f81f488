//! Who scales: our own function, and models of others by what they document, with their defaults.

mod aws;
mod keda;
mod kpa;
mod window;

use crate::{Cpu, Observed, Policy, Settings, State, decide};

use super::world::Service;
pub use aws::AwsTracking;
pub use keda::KedaHpa;
pub use kpa::Kpa;
use window::Window;

/// What a scaler may look at, every second. Each keeps to the periods and delays that it documents.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// The time, in milliseconds.
    pub now_ms: u64,
    /// Arrived in the last second.
    pub arrived: u32,
    /// Waiting.
    pub waiting: u32,
    /// Being served, also by instances that finish before they go.
    pub in_flight: u32,
    /// Instances that serve, and are not about to go, with something in hand.
    pub holding: u32,
    /// Instances that serve.
    pub ready: u32,
    /// Instances that boot.
    pub starting: u32,
    /// What the scaler last wanted.
    pub desired: u32,
    /// Slots in use of those that are ready, in percent.
    pub cpu_percent: Option<f64>,
    /// What is scaled.
    pub service: Service,
}

/// Says how many it wants.
pub trait Scaler {
    /// Asked every second; says what it last said while its own period has not passed.
    fn want(&mut self, watched: &Watched) -> u32;
}

/// Everyone who is compared, by name; ours first.
pub fn scalers(service: &Service, settings: &Settings) -> Vec<(&'static str, Box<dyn Scaler>)> {
    let ours = |policy| -> Box<dyn Scaler> { Box::new(Skylift::new(settings, policy, service)) };
    vec![
        ("skylift, backlog 5", ours(Policy::Backlog(5.0))),
        ("skylift, cpu 50", ours(Policy::Cpu(50.0))),
        ("aws, backlog 5", Box::new(AwsTracking::backlog(5.0))),
        ("aws, cpu 50", Box::new(AwsTracking::cpu(50.0))),
        ("keda + hpa, queue 5", Box::new(KedaHpa::new(5.0))),
        ("knative kpa", Box::new(Kpa::new(service.slots))),
    ]
}

/// Everyone who scales workers of runs by their backlog, by name; ours first.
pub fn scalers_of_runs(service: &Service) -> Vec<(&'static str, Box<dyn Scaler>)> {
    vec![
        (
            "skylift, BacklogPerInstance 5",
            Box::new(Skylift::new(&Settings::for_runs(), Policy::BacklogPerInstance(5.0), service)),
        ),
        ("aws, BacklogPerInstance 5", Box::new(AwsTracking::backlog(5.0))),
        ("keda + hpa, queue 5", Box::new(KedaHpa::new(5.0))),
        ("knative kpa", Box::new(Kpa::new(service.slots))),
    ]
}

/// Our own function, a tick a second.
#[derive(Debug)]
pub struct Skylift {
    settings: Settings,
    state: State,
    cpu: Window,
}

impl Skylift {
    /// With these settings, but one policy and the bounds and slots of the service.
    #[must_use]
    pub fn new(settings: &Settings, policy: Policy, service: &Service) -> Self {
        let settings = Settings {
            policies: vec![policy],
            min: service.min,
            max: service.max,
            slots: f64::from(service.slots),
            ..settings.clone()
        };
        Self { settings, state: State::default(), cpu: Window::new(10) }
    }
}

impl Scaler for Skylift {
    fn want(&mut self, watched: &Watched) -> u32 {
        if let Some(percent) = watched.cpu_percent {
            self.cpu.push(percent);
        }
        let seen = Observed {
            ready: watched.ready,
            starting: watched.starting,
            cpu: self.cpu.mean().filter(|_| watched.ready > 0).map(|percent| Cpu { percent, reporting: watched.ready }),
            waiting: Some(f64::from(watched.waiting)),
            in_flight: Some(f64::from(watched.in_flight)),
            holding: Some(watched.holding),
            arrivals_per_s: Some(f64::from(watched.arrived)),
            service_s: Some(watched.service.service_s),
            boot_s: Some(watched.service.boot_s),
        };
        decide(&seen, &self.settings, &mut self.state, watched.now_ms).desired
    }
}
