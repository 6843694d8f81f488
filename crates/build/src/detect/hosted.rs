//! What `netlify.toml` and `vercel.json` say of the build: hints, where neither `skylift.toml` nor a framework says otherwise.

use serde::Deserialize;
use skylift_model::plan::Plan;
use skylift_model::site::Compat;

use crate::app_config::parse_folder;

use super::draft::Draft;
use super::framework::Sourced;
use super::project::Project;
use super::view::{View, join};

/// The hints of one of these files.
#[derive(Default)]
pub(crate) struct Hosted {
    /// The command that builds.
    pub(crate) command: Option<Sourced<String>>,
    /// The folder to serve, relative to the project's, as the file writes it.
    publish: Option<Sourced<String>>,
    /// Whether they are for another folder than the project's.
    is_elsewhere: bool,
}

#[derive(Default, Deserialize)]
struct NetlifyToml {
    #[serde(default)]
    build: NetlifyBuild,
}

#[derive(Default, Deserialize)]
struct NetlifyBuild {
    base: Option<String>,
    command: Option<String>,
    publish: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VercelJson {
    build_command: Option<String>,
    output_directory: Option<String>,
}

impl Hosted {
    /// Reads `netlify.toml`, else `vercel.json`, of the project's own folder. What cannot be read gives no hints: the rules that are
    /// read from the same file say so.
    pub(crate) fn read(view: &View<'_>, project: &Project) -> Self {
        // Cloudflare knows neither file.
        if project.config.compat == Some(Compat::Cloudflare) {
            return Self::default();
        }
        let toml = join(&project.root, "netlify.toml");
        let from = |key: &str| format!("{toml} build.{key}");
        let build = toml::from_str::<NetlifyToml>(&view.glance(&toml)).unwrap_or_default().build;
        let is_elsewhere = build.base.is_some_and(|base| folder(&base).is_none_or(|base| !base.is_empty()));
        let netlify = Self {
            command: command(build.command, from("command")),
            publish: said(build.publish, from("publish")),
            is_elsewhere,
        };
        if netlify.command.is_some() || netlify.publish.is_some() {
            return netlify;
        }
        let json = join(&project.root, "vercel.json");
        let said_there = serde_json::from_str::<VercelJson>(&view.glance(&json)).unwrap_or_default();
        Self {
            command: command(said_there.build_command, format!("{json} buildCommand")),
            publish: said(said_there.output_directory, format!("{json} outputDirectory")),
            is_elsewhere: false,
        }
    }

    /// The folder to serve, where it can be one of the project's.
    pub(crate) fn output(&self) -> Option<Sourced<String>> {
        let publish = self.publish.as_ref().filter(|_| !self.is_elsewhere)?;
        Some(Sourced::new(folder(&publish.value)?, publish.from.clone()))
    }

    /// The folder to serve, where it is there or a command makes it, and whether one does.
    pub(crate) fn site(&self, view: &View<'_>, project: &Project) -> Option<(Sourced<String>, bool)> {
        let output = self.output()?;
        let own = project.config.build.command.as_deref();
        let is_built = own.map_or(self.command.is_some(), |own| !own.is_empty());
        // The project's own folder is served in any case, where there are pages.
        let is_there = !output.value.is_empty() && view.has_folder(&join(&project.root, &output.value));
        (is_built || is_there).then_some((output, is_built))
    }

    /// The hints that a plan does not follow, with where they stand. What `skylift.toml` says is meant to win.
    fn left_out(&self, project: &Project, plan: &Plan) -> Vec<(String, String)> {
        let settings = &project.config.build;
        let is_followed = |said: &str| folder(said).is_some_and(|folder| folder == plan.output) && !self.is_elsewhere;
        let output = self.publish.iter().filter(|said| settings.output.is_none() && !is_followed(&said.value));
        let is_run = |said: &str| plan.build.as_deref().is_some_and(|build| script(build) == script(said));
        let command = self.command.iter().filter(|said| settings.command.is_none() && !is_run(&said.value));
        let told = |said: &Sourced<String>, key: &str| {
            (format!("`{}` does not count; {key} in skylift.toml would", said.value), said.from.clone())
        };
        let outputs = output.map(|said| told(said, "[build] output"));
        outputs.chain(command.map(|said| told(said, "[build] command"))).collect()
    }
}

impl Draft {
    /// Warns of what such a file says of a site's build and the plan does not follow.
    pub(crate) fn left_out(&mut self, project: &Project, hosted: &Hosted) {
        if self.plan.kind.is_static() {
            for (warning, from) in hosted.left_out(project, &self.plan) {
                self.warn(&warning, &from);
            }
        }
    }
}

fn said(text: Option<String>, from: String) -> Option<Sourced<String>> {
    text.filter(|text| !text.trim().is_empty()).map(|text| Sourced::new(text, from))
}

/// A command; some templates have a comment in its place.
fn command(text: Option<String>, from: String) -> Option<Sourced<String>> {
    said(text.filter(|text| !text.trim_start().starts_with('#')), from)
}

/// A folder below the project's. With a slash before it, it is counted from the top there: the same folder.
fn folder(text: &str) -> Option<String> {
    parse_folder(text.trim().trim_start_matches('/')).ok()
}

/// The script that a command runs through whichever package manager, else the command itself.
fn script(command: &str) -> &str {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["npm" | "pnpm" | "yarn" | "bun", "run", script] | ["pnpm" | "yarn", script] => script,
        _ => command.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_script_is_known_through_any_package_manager() {
        for (one, other, same) in [
            ("npm run build", "pnpm run build", true),
            ("yarn build", "npm run build", true),
            ("npm run build", "npm run build:prod", false),
            ("hugo", " hugo ", true),
            ("npm run build && ./more", "npm run build", false),
        ] {
            assert_eq!(script(one) == script(other), same, "{one} / {other}");
        }
    }
}
