//! `env`: values that count where nobody else gives one, variables that must be there, and secrets to be made.

use std::collections::BTreeMap;

use skylift_model::EnvName;

use super::read::Variable;
use crate::detect::draft::Draft;
use crate::detect::project::Project;

/// The only generator that there is.
const SECRET: &str = "secret";

impl Draft {
    /// The names alone are shown: a value may be more private than its owner thought.
    pub(super) fn variables(&mut self, project: &Project, file: &str, env: &BTreeMap<String, Variable>) {
        for (name, variable) in env {
            let from = format!("{file} env.{name}");
            match name.parse::<EnvName>() {
                Err(reason) => self.warn(&format!("without effect: {reason}"), &from),
                Ok(name) if name.is_platforms() || name.is_of_the_contract() => {
                    self.warn("without effect: the platform itself sets it", &from);
                }
                // What `skylift.toml` says is meant to win.
                Ok(name) if project.config.env.contains_key(&name) => {}
                Ok(name) => self.variable(name.as_str(), variable, &from),
            }
        }
    }

    fn variable(&mut self, name: &str, variable: &Variable, from: &str) {
        if variable.is_synced {
            self.warn("`sync` is without effect: what `skylift env set` says always counts", from);
        }
        match variable.generator.as_deref() {
            Some(SECRET) => {
                self.plan.app_json.secrets.insert(name.to_owned());
                return self.decide("env", &format!("{name}, a secret made once"), from);
            }
            Some(_) => self.warn("its `generator` is without effect: there is only `secret`", from),
            None => {}
        }
        if variable.value.contains('\0') {
            return self.warn("without effect: its value has a NUL character", from);
        }
        let kept = &mut self.plan.app_json;
        // As on a button of Heroku, an empty value is one to be filled in.
        if !variable.value.is_empty() {
            kept.defaults.insert(name.to_owned(), variable.value.clone());
            self.decide("env", name, from);
        } else if variable.is_required {
            kept.required.insert(name.to_owned());
            self.decide("env", &format!("{name}, which must be set"), from);
        }
    }
}
