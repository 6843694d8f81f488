//! `formation`: how many instances of each process there are to be.

use std::collections::BTreeMap;

use skylift_model::wire::Scaling;

use super::read::Process;
use crate::detect::draft::Draft;
use crate::detect::project::Project;

/// The process that answers requests.
const WEB: &str = "web";

impl Draft {
    pub(super) fn formation(&mut self, project: &Project, file: &str, formation: &BTreeMap<String, Process>) {
        for (name, process) in formation {
            let from = format!("{file} formation.{name}");
            for key in process.others.keys() {
                let instead = match key.as_str() {
                    "size" => "an instance's size is `[instance] type` in skylift.toml",
                    "max_parallel" => "how instances are replaced is `[rollout]` in skylift.toml",
                    _ => "nothing here does the same",
                };
                self.warn(&format!("without effect: {instead}"), &format!("{from}.{key}"));
            }
            if name == WEB {
                self.web(project, process, &from);
            } else {
                self.other(name, process, &from);
            }
        }
    }

    /// Bounds for those that answer requests. As many as are usual need not be said, so that they can be on one volume.
    fn web(&mut self, project: &Project, process: &Process, from: &str) {
        let usual = Scaling::default();
        let scaling = process.autoscaling.as_ref();
        for key in scaling.iter().flat_map(|scaling| scaling.others.keys()) {
            let instead = "without effect: what load is measured by is `[scale]` in skylift.toml";
            self.warn(instead, &format!("{from}.autoscaling.{key}"));
        }
        let least = scaling.and_then(|scaling| scaling.min_quantity).or(process.quantity).unwrap_or(usual.min);
        let most = scaling.and_then(|scaling| scaling.max_quantity).map(|most| most.max(1));
        if most.is_some_and(|most| most < least) {
            return self
                .warn("without effect: it asks for fewer at most than at least", &format!("{from}.autoscaling"));
        }
        let scale = Scaling { min: least, max: most.unwrap_or(usual.max.max(least)), ..usual };
        // What `skylift.toml` says is meant to win.
        if project.config.scale.is_some() || scale == Scaling::default() {
            return;
        }
        self.decide("scale", &format!("{} to {} instances", scale.min, scale.max), from);
        self.plan.scale = Some(scale);
    }

    fn other(&mut self, name: &str, process: &Process, from: &str) {
        if !self.plan.others.contains_key(name) {
            return self.warn("without effect: no line of a Procfile names such a process that goes on", from);
        }
        if process.autoscaling.is_some() {
            self.warn("without effect: only `web` is scaled by load", &format!("{from}.autoscaling"));
        }
        if let Some(quantity) = process.quantity {
            self.decide("instances", &format!("{name}: {quantity}"), from);
            self.plan.app_json.counts.insert(name.to_owned(), quantity);
        }
    }
}
