//! `app.json`, as Heroku and Dokku read it: what it says of a project counts where `skylift.toml` says nothing, and what has no effect
//! here is a warning with its key.
//!
//! Of a project that other tools read an `app.json` for, and of files that nothing builds or runs, it is not read.

mod formation;
mod health;
mod read;
mod variables;

use skylift_model::plan::ProjectKind;

use read::{File, Scripts};

use super::draft::Draft;
use super::error::DetectError;
use super::package_json::{PackageJson, parse_typed};
use super::project::Project;
use super::view::{View, join};

/// The file's name.
pub(crate) const FILE_NAME: &str = "app.json";

/// Packages whose own settings an `app.json` holds.
const OTHERS: &[&str] = &["expo", "react-native"];

/// Keys at the top that have no effect, and what to do instead. Those that describe an app are not among them.
const UNHEEDED: &[(&str, &str)] = &[
    ("cron", "nothing is run at set times"),
    ("addons", "`[[link]]` in skylift.toml and `skylift db create` give an app what it needs"),
    ("buildpacks", "the project's files say what builds it, else `[build]` in skylift.toml"),
    ("image", "a Dockerfile in the source says what a project is built from"),
    ("stack", "builds and instances see the system of this server"),
    ("environments", "what stands outside of it counts for every deployment"),
];

const IDLE: &str = "without effect: files are served by the edge, no instance runs";

impl Draft {
    /// Adds what `app.json` says. Comes last: what a plan has already, it leaves as it is.
    ///
    /// # Errors
    /// Where it is no JSON, or has values of the wrong kind.
    pub(crate) fn app_json(&mut self, view: &View<'_>, project: &Project) -> Result<(), DetectError> {
        let name = join(&project.root, FILE_NAME);
        let is_plain = self.plan.kind == ProjectKind::Static && self.plan.build.is_none();
        if is_plain || belongs_to_others(view, project)? {
            return Ok(());
        }
        let Some(text) = view.text(&name)? else { return Ok(()) };
        let file: File = parse_typed(&name, &text)?;
        self.variables(project, &name, &file.env);
        if self.plan.kind.is_static() {
            let said = [("formation", !file.formation.is_empty()), ("healthchecks", !file.healthchecks.is_empty())];
            for (key, _) in said.iter().filter(|(_, is_said)| *is_said) {
                self.warn(IDLE, &format!("{name} {key}"));
            }
        } else {
            self.formation(project, &name, &file.formation);
            self.checks(project, &name, &file.healthchecks);
        }
        self.scripts(project, &name, &file.scripts);
        for (key, instead) in UNHEEDED.iter().filter(|(key, _)| file.others.contains_key(*key)) {
            self.warn(&format!("without effect: {instead}"), &format!("{name} {key}"));
        }
        Ok(())
    }

    /// What is run once around a deployment. A step of the build is the one whose files are kept.
    fn scripts(&mut self, project: &Project, name: &str, scripts: &Scripts) {
        if let Some(command) = scripts.dokku.predeploy.as_deref().filter(|command| !command.trim().is_empty()) {
            let from = format!("{name} scripts.dokku.predeploy");
            let built_by = &project.config.build.command;
            if self.plan.kind == ProjectKind::Dockerfile {
                self.warn("without effect: the Dockerfile says all of the build; add it there as RUN", &from);
            } else if built_by.is_some() {
                self.warn("without effect: `[build] command` in skylift.toml says all of the build", &from);
            } else if command.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
                self.warn("without effect: the command has control characters", &from);
            } else {
                self.decide("predeploy", command, &from);
                self.plan.app_json.predeploy = Some(command.trim().to_owned());
            }
        }
        let after = "without effect: nothing is run after a deployment went live; `release` of a Procfile runs before, `skylift run` by hand";
        for (said, key) in [(&scripts.dokku.postdeploy, "dokku.postdeploy"), (&scripts.postdeploy, "postdeploy")] {
            if said.as_deref().is_some_and(|command| !command.trim().is_empty()) {
                self.warn(after, &format!("{name} scripts.{key}"));
            }
        }
        let dokku = scripts.dokku.others.keys().map(|key| format!("dokku.{key}"));
        for key in scripts.others.keys().cloned().chain(dokku) {
            self.warn("without effect: it is not run here", &format!("{name} scripts.{key}"));
        }
    }
}

fn belongs_to_others(view: &View<'_>, project: &Project) -> Result<bool, DetectError> {
    let package = PackageJson::load(view, &project.root)?;
    Ok(package.is_some_and(|package| OTHERS.iter().any(|name| package.has(name))))
}
