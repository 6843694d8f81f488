//! A plan while it is being made: every value goes in together with the decision that records it.

use std::collections::BTreeMap;

use skylift_model::app_json::AppJson;
use skylift_model::health::HealthChecks;
use skylift_model::plan::{Decision, Plan, ProjectKind};
use skylift_model::program::Protocol;
use skylift_model::rollout::RolloutSettings;
use skylift_model::site::SiteSettings;

/// Longer texts are cut where decisions are recorded; the plan's own fields keep them whole.
const SHOWN_CHARS_MAX: usize = 200;

pub(crate) struct Draft {
    pub(crate) plan: Plan,
}

impl Draft {
    pub(crate) fn new(kind: ProjectKind) -> Self {
        Self {
            plan: Plan {
                kind,
                framework: None,
                root: String::new(),
                install_root: String::new(),
                package_manager: None,
                package_manager_version: None,
                node: None,
                install: None,
                build: None,
                test: None,
                start: None,
                release: None,
                others: BTreeMap::new(),
                health_path: None,
                health: HealthChecks::default(),
                instance_type: None,
                scale: None,
                protocol: Protocol::Http1,
                sticky: false,
                rollout: RolloutSettings::default(),
                links: Vec::new(),
                net: skylift_model::net::NetRules::default(),
                output: String::new(),
                site: SiteSettings::default(),
                env: BTreeMap::new(),
                app_json: AppJson::default(),
                decisions: Vec::new(),
            },
        }
    }

    pub(crate) fn decide(&mut self, what: &str, value: &str, from: &str) {
        let decision = Decision { what: what.to_owned(), value: shown(value), from: shown(from) };
        self.plan.decisions.push(decision);
    }

    pub(crate) fn warn(&mut self, warning: &str, from: &str) {
        self.decide("warning", warning, from);
    }
}

/// On one line, without characters that a terminal obeys, not too long.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        match c {
            _ if index == SHOWN_CHARS_MAX => {
                shown.push('…');
                break;
            }
            c if c.is_control() || reorders(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Invisible characters, some of which make a line read differently from what it says.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
