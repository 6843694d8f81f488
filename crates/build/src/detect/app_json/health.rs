//! `healthchecks`: where and how often an instance is asked whether it is well.
//!
//! Here there is one check, which decides when an instance is ready and goes on while it runs. It is the one of Dokku's that says
//! most of that: readiness, else liveness, else startup.

use std::collections::BTreeMap;

use skylift_model::health::HealthChecks;
use skylift_model::program::Protocol;

use super::read::{Check, CheckType};
use crate::app_config::is_request_path;
use crate::detect::draft::Draft;
use crate::detect::project::Project;

/// Which check counts, best first.
const ORDER: &[CheckType] = &[CheckType::Readiness, CheckType::Liveness, CheckType::Startup];
/// Keys of a check that nothing is lost by: names, and waiting for an instance that is asked until it answers.
const NEEDLESS: &[&str] = &["name", "initialDelay", "listening", "warn"];

impl Draft {
    pub(super) fn checks(&mut self, project: &Project, file: &str, checks: &BTreeMap<String, Vec<Check>>) {
        for process in checks.keys().filter(|process| *process != "web") {
            self.warn("without effect: only `web` is asked", &format!("{file} healthchecks.{process}"));
        }
        let web = checks.get("web").map(Vec::as_slice).unwrap_or_default();
        for (at, check) in web.iter().enumerate() {
            self.warn_of_kinds(check, &format!("{file} healthchecks.web[{at}]"));
        }
        let config = &project.config;
        // What `skylift.toml` says is meant to win, all of it or nothing.
        if config.health_path.is_some() || config.health.is_some() {
            return;
        }
        let places = || web.iter().enumerate().filter(|(_, check)| check.path.is_some());
        let Some((at, check)) = ORDER.iter().find_map(|kind| places().find(|(_, check)| check.kind == *kind)) else {
            return;
        };
        let from = format!("{file} healthchecks.web[{at}]");
        self.health(check, &from);
        let path = |(_, other): &(usize, &Check)| other.path != check.path;
        for (at, _) in places().filter(path) {
            let told = format!("without effect: one path is asked, that of {from}");
            self.warn(&told, &format!("{file} healthchecks.web[{at}].path"));
        }
    }

    fn health(&mut self, check: &Check, from: &str) {
        let Some(path) = &check.path else { return };
        if self.plan.protocol == Protocol::H2c {
            return self.warn("without effect: a path is asked over HTTP/1.1, and `[run] protocol` says `h2c`", from);
        }
        if !is_request_path(path) {
            return self.warn("without effect: its path is not that of a request, such as `/up`", from);
        }
        self.decide("health", path, from);
        self.plan.health_path = Some(path.clone());
        let usual = HealthChecks::default();
        let within =
            |said: Option<u32>, from: u32, to: u32, usual: u32| said.map_or(usual, |said| said.clamp(from, to));
        self.plan.health.timeout_seconds = within(check.timeout, 1, 60, usual.timeout_seconds);
        // A check for the start says nothing of how long a running instance may be unwell.
        if check.kind != CheckType::Startup {
            self.plan.health.interval_seconds = within(check.wait, 1, 3600, usual.interval_seconds);
            self.plan.health.unhealthy_threshold = within(check.attempts, 1, 100, usual.unhealthy_threshold);
        }
    }

    fn warn_of_kinds(&mut self, check: &Check, from: &str) {
        for key in check.others.keys().filter(|key| !NEEDLESS.contains(&key.as_str())) {
            let instead = match key.as_str() {
                "command" => "no command is run to ask; a `path` is",
                "content" => "only the status of an answer counts, not what it holds",
                "uptime" => "an instance is ready when it answers",
                "port" => "an instance is asked on `PORT`",
                _ => "nothing here does the same",
            };
            self.warn(&format!("without effect: {instead}"), &format!("{from}.{key}"));
        }
    }
}
