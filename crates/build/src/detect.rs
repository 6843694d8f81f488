//! What kind of project a source is, and the plan for it.
//!
//! A pure function over a listing of files: it runs nothing, evaluates no configuration, and the same files always give
//! the same plan. Each decision is recorded with the file (and field) it came from. The order in which kinds are asked
//! for is the table in `recognise.rs`.

mod app_json;
mod draft;
mod error;
mod folder;
mod framework;
mod go_app;
mod hosted;
mod js_text;
mod listing;
mod lone;
mod manager;
mod node_app;
mod node_start;
mod package_json;
mod processes;
mod procfile;
mod project;
mod python;
mod recipe;
mod recognise;
mod render;
mod rust_app;
mod script;
mod view;
mod workspace;

/// Which Node versions a project asks for.
pub mod node_version;

pub use error::DetectError;
pub use folder::{FolderListing, OpenError};
pub use listing::{Listing, MapListing, READ_BYTES_MAX};
pub use render::render;

use skylift_model::plan::{Plan, ProjectKind};
use skylift_model::site::Compat;

use draft::Draft;
use framework::{GUESS, Sourced};
use manager::Manager;
use node_app::{NodeApp, Shape};
use project::Project;
use recipe::Recipe;
use recognise::Recognised;
use view::View;

/// Folders in which builds of unknown make are looked for, in this order.
const GENERIC_OUTPUTS: &[&str] = &["dist", "build", "out", "public", "_site"];

/// The decision by which an install depends on more of a source than its lists of packages.
pub(crate) const INSTALL_READS: &str = "install reads";

/// Makes the plan for a source. `dir` selects the project inside it and wins over `root` of `skylift.toml`.
///
/// # Errors
/// Where nothing is recognised, a file that decides something is broken, or `skylift.toml` has mistakes.
pub fn plan(listing: &dyn Listing, dir: Option<&str>) -> Result<Plan, DetectError> {
    let view = View::new(listing);
    let project = project::find(&view, dir)?;
    let recognised = recognise::recognise(view, &project)?;

    let mut draft = Draft::new(recognised.kind.value);
    draft.place(&project);
    draft.kind(&recognised.kind, recognised.framework.as_ref());
    let recipe = draft.recipe(&view, &project, &recognised)?;
    let start = draft.steps(&project, recipe);
    draft.result(&project, recognised.output, recognised.spa);
    draft.left_out(&project, &recognised.hosted);
    draft.processes(&view, &project, start)?;
    draft.env(&project);
    draft.app_json(&view, &project)?;
    Ok(draft.plan)
}

/// The folders to look for the result in, relative to `root`, best first: more than one only where the plan had to
/// guess.
pub fn output_candidates(plan: &Plan) -> Vec<String> {
    let mut candidates = vec![plan.output.clone()];
    let decision = plan.decisions.iter().rfind(|decision| decision.what == "output");
    if decision.is_some_and(|decision| decision.from.starts_with(GUESS)) {
        // What a known framework copies from, `public`, is not what it makes.
        let generic = GENERIC_OUTPUTS.iter().filter(|folder| plan.framework.is_none() || **folder != "public");
        candidates.extend(generic.filter(|folder| **folder != plan.output).map(|folder| (*folder).to_owned()));
    }
    candidates
}

impl Draft {
    fn place(&mut self, project: &Project) {
        if !project.config_file.is_empty() {
            self.decide("settings", &project.config_file, "found");
        }
        self.decide("root", here(&project.root), &project.root_from);
        self.plan.root.clone_from(&project.root);
        self.plan.install_root.clone_from(&project.root);
    }

    fn kind(&mut self, kind: &Sourced<ProjectKind>, framework: Option<&Sourced<String>>) {
        self.decide("kind", kind_name(kind.value), &kind.from);
        if let Some(framework) = framework {
            self.decide("framework", &framework.value, &framework.from);
            self.plan.framework = Some(framework.value.clone());
        }
    }

    /// Node: the package manager, where and how it installs, and the version of Node.
    fn packages(&mut self, view: &View<'_>, project: &Project, node: &NodeApp) -> Result<Manager, DetectError> {
        let root = workspace::find(view, &project.root, &node.package)?;
        let packages: Vec<_> = std::iter::once(&node.package).chain(&root.package).collect();
        let manager = manager::choose(view, &root.folder, &packages);
        self.decide("package manager", manager.name.as_str(), &manager.from);
        if let Some((version, from)) = &manager.version {
            self.decide("package manager version", version, from);
            self.plan.package_manager_version = Some(version.clone());
        }
        for (warning, from) in &manager.warnings {
            self.warn(warning, from);
        }
        self.node(view, project, &packages);
        self.decide("install root", here(&root.folder), &root.from);
        let needs_packages = root.is_workspace || packages.iter().any(|package| package.has_packages());
        if needs_packages {
            self.plan.install = Some(manager.install().to_owned());
        }
        self.plan.package_manager = Some(manager.name);
        self.plan.install_root = root.folder;
        Ok(manager)
    }

    fn node(&mut self, view: &View<'_>, project: &Project, packages: &[&package_json::PackageJson]) {
        if let Some(range) = &project.config.build.node {
            self.decide("node", range, &format!("{} build.node", project.config_file));
            self.plan.node = Some(range.clone());
            return;
        }
        let engines = packages.iter().filter_map(|package| {
            let text = package.engines.get("node")?.clone();
            Some(node_version::Pin { text, from: package.field("engines.node") })
        });
        for pin in engines.chain(node_version::pins(view, &project.root)) {
            if let Some(range) = node_version::normalise(&pin.text) {
                self.decide("node", &range, &pin.from);
                self.plan.node = Some(range);
                return;
            }
            self.warn(&format!("`{}` is no Node version, ignored", pin.text), &pin.from);
        }
    }

    /// What is known of a project by its language.
    fn recipe(&mut self, view: &View<'_>, project: &Project, of: &Recognised) -> Result<Recipe, DetectError> {
        let root = &project.root;
        match of.kind.value {
            ProjectKind::NodeStatic | ProjectKind::NodeServer => match &of.node {
                Some(node) => {
                    let mut recipe = self.node_recipe(view, project, node)?;
                    recipe.build = recipe.build.or_else(|| of.command.clone());
                    Ok(recipe)
                }
                None => Ok(Recipe::default()),
            },
            ProjectKind::Python => {
                let installs_itself = project.config.build.install.is_some();
                let mut recipe = if installs_itself { Recipe::default() } else { python::recipe(view, root)? };
                let framework = of.framework.as_ref().map(|framework| framework.value.as_str());
                recipe.start = Some(python::start(view, root, framework));
                Ok(recipe)
            }
            ProjectKind::Rust => rust_app::recipe(view, root),
            ProjectKind::Go => Ok(go_app::recipe(view, root)),
            ProjectKind::Static => Ok(Recipe { build: of.command.clone(), ..Recipe::default() }),
            ProjectKind::Procfile | ProjectKind::Dockerfile => Ok(Recipe::default()),
        }
    }

    fn node_recipe(&mut self, view: &View<'_>, project: &Project, node: &NodeApp) -> Result<Recipe, DetectError> {
        let manager = self.packages(view, project, node)?;
        let lockfile = manager.lockfile.clone().unwrap_or_else(|| "no lockfile".into());
        let mut install = self.plan.install.take().map(|command| Sourced::new(command, lockfile));
        let build = build_command(&manager, node).map(|(command, from)| Sourced::new(command, from));
        let runs = self.plan.kind == ProjectKind::NodeServer;
        let settings = &project.config.build;
        let builds = settings.command.as_deref().map_or(build.is_some(), |command| !command.is_empty());
        if let (true, false, None, Some(install)) = (runs, builds, &settings.test, &mut install) {
            install.value = manager.install_for_running().to_owned();
        }
        let start = runs.then(|| node_start::start(view, &project.root, node, &manager));
        Ok(Recipe { install, build, start, ..Recipe::default() })
    }

    /// Install, build and test: what `skylift.toml` says, else what was detected. Hands back how it starts.
    fn steps(&mut self, project: &Project, recipe: Recipe) -> Option<recipe::Start> {
        let settings = &project.config.build;
        let pair = |sourced: Option<Sourced<String>>| sourced.map(|sourced| (sourced.value, sourced.from));
        for (warning, from) in &recipe.warnings {
            self.warn(warning, from);
        }
        self.plan.install = self.step(project, "install", settings.install.as_deref(), pair(recipe.install));
        if let Some(from) = recipe.reads_source.filter(|_| settings.install.is_none()) {
            self.decide(INSTALL_READS, "the whole source", &from);
        }
        self.plan.build = self.step(project, "command", settings.command.as_deref(), pair(recipe.build));
        self.plan.test = self.step(project, "test", settings.test.as_deref(), None);
        recipe.start
    }

    /// One step: the setting wins, and the empty text means that it is left out.
    fn step(
        &mut self,
        project: &Project,
        key: &str,
        setting: Option<&str>,
        detected: Option<(String, String)>,
    ) -> Option<String> {
        let what = if key == "command" { "build" } else { key };
        let (command, from) = match setting {
            Some(command) => (command.to_owned(), format!("{} build.{key}", project.config_file)),
            None => detected?,
        };
        self.decide(what, if command.is_empty() { "none" } else { &command }, &from);
        (!command.is_empty()).then_some(command)
    }

    /// Where the result lies and how it is served.
    fn result(&mut self, project: &Project, output: Sourced<String>, spa: Sourced<bool>) {
        let config = &project.config;
        let file = &project.config_file;
        if !self.plan.kind.is_static() {
            return;
        }
        let output = match &config.build.output {
            Some(folder) => Sourced::new(folder.clone(), format!("{file} build.output")),
            None => output,
        };
        self.decide("output", here(&output.value), &output.from);
        self.plan.output = output.value;
        let spa = config.spa.map_or(spa, |spa| Sourced::new(spa, format!("{file} spa")));
        self.decide("spa", yes_or_no(spa.value), &spa.from);
        self.plan.site.spa = spa.value;
        if let Some(cache) = config.cache {
            self.decide("cache", yes_or_no(cache), &format!("{file} [cache] enabled"));
            self.plan.site.cache = cache;
        }
        if let Some(clean_urls) = config.clean_urls {
            self.decide("clean_urls", yes_or_no(clean_urls), &format!("{file} clean_urls"));
            self.plan.site.clean_urls = clean_urls;
        }
        if let Some(served) = config.source_maps {
            self.decide("source maps", yes_or_no(served), &format!("{file} source_maps"));
            self.plan.site.without_source_maps = !served;
        }
        if let Some(compat) = config.compat {
            self.decide("compat", compat_name(compat), &format!("{file} compat"));
            self.plan.site.compat = compat;
        }
    }

    /// The names alone are shown: a value may be more private than its owner thought.
    fn env(&mut self, project: &Project) {
        for (name, value) in &project.config.env {
            self.decide("env", name.as_str(), &format!("{} env", project.config_file));
            self.plan.env.insert(name.as_str().to_owned(), value.clone());
        }
    }
}

/// The `build` script through the package manager, else the framework's own command.
fn build_command(manager: &Manager, node: &NodeApp) -> Option<(String, String)> {
    let package = &node.package;
    let script = |name: &str| (manager.run(name), package.field(&format!("scripts.{name}")));
    match &node.shape {
        Shape::Framework(choice) => match &choice.script {
            Some(name) => Some(script(name)),
            None => Some((manager.exec(choice.framework.command), format!("default of {}", choice.framework.name))),
        },
        _ => package.scripts.contains_key("build").then(|| script("build")),
    }
}

/// A folder as people read it.
fn here(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn compat_name(compat: Compat) -> &'static str {
    match compat {
        Compat::Skylift => "skylift",
        Compat::Cloudflare => "cloudflare",
    }
}

fn kind_name(kind: ProjectKind) -> &'static str {
    match kind {
        ProjectKind::Static => "static",
        ProjectKind::NodeStatic => "node-static",
        ProjectKind::NodeServer => "node-server",
        ProjectKind::Python => "python",
        ProjectKind::Rust => "rust",
        ProjectKind::Go => "go",
        ProjectKind::Procfile => "procfile",
        ProjectKind::Dockerfile => "dockerfile",
    }
}
