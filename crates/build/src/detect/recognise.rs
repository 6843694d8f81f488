//! Which kind of project a folder is: the recognisers, in the order in which they are asked.

use skylift_model::plan::ProjectKind;

use super::error::DetectError;
use super::framework::{GUESS, Outcome, Sourced};
use super::hosted::Hosted;
use super::lone;
use super::node_app::{self, NodeApp, Shape};
use super::project::{Project, projects_below};
use super::view::{View, join};

/// What a project was recognised as.
pub(crate) struct Recognised {
    pub(crate) kind: Sourced<ProjectKind>,
    pub(crate) framework: Option<Sourced<String>>,
    /// Where files to serve will lie; the project's folder itself for a program.
    pub(crate) output: Sourced<String>,
    pub(crate) spa: Sourced<bool>,
    /// What builds it, where a file for another host says so.
    pub(crate) command: Option<Sourced<String>>,
    pub(crate) node: Option<NodeApp>,
    /// What files for other hosts say, followed or not.
    pub(crate) hosted: Hosted,
}

struct Source<'a> {
    view: View<'a>,
    project: &'a Project,
    node: Option<&'a NodeApp>,
    hosted: &'a Hosted,
}

type Recogniser = fn(&Source<'_>) -> Option<Found>;

struct Found {
    kind: ProjectKind,
    from: String,
    framework: Option<Sourced<String>>,
    output: Option<Sourced<String>>,
    spa: Option<Sourced<bool>>,
    command: Option<Sourced<String>>,
}

/// The first that recognises the project decides. docs/detection.md tells the reasons.
const ORDER: &[Recogniser] = &[
    configured_start,
    configured_output,
    node_framework_site,
    node_script_site,
    hosted_output,
    pages,
    dockerfile,
    node_framework_server,
    go,
    rust,
    python,
    node_server,
    node_processes,
    python_processes,
    procfile,
    lone_python,
    loose_pages,
];

/// Recognises the project.
pub(crate) fn recognise(view: View<'_>, project: &Project) -> Result<Recognised, DetectError> {
    let node = node_app::analyse(view, &project.root)?;
    let hosted = Hosted::read(&view, project);
    let source = Source { view, project, node: node.as_ref(), hosted: &hosted };
    let Some(found) = ORDER.iter().find_map(|recogniser| recogniser(&source)) else {
        let place = if project.root.is_empty() { "the source".into() } else { format!("`{}`", project.root) };
        let projects_below = projects_below(&view, &project.root);
        return Err(match &node {
            Some(node) if projects_below.is_empty() => DetectError::NodeSaysNothing { file: node.package.file.clone() },
            _ => DetectError::Unrecognised { place, projects_below },
        });
    };
    let node = if matches!(found.kind, ProjectKind::NodeStatic | ProjectKind::NodeServer) { node } else { None };
    Ok(Recognised {
        kind: Sourced::new(found.kind, found.from),
        framework: found.framework,
        output: found.output.unwrap_or_else(|| Sourced::new(String::new(), "default")),
        spa: found.spa.unwrap_or_else(|| Sourced::new(false, "default")),
        command: found.command,
        node,
        hosted,
    })
}

impl Source<'_> {
    fn path(&self, name: &str) -> String {
        join(&self.project.root, name)
    }

    fn has(&self, name: &str) -> bool {
        self.view.has(&self.path(name))
    }

    fn first_of(&self, names: &[&str]) -> Option<String> {
        self.view.first_of(&self.project.root, names)
    }

    /// Whether something at the root marks a program in another language.
    fn is_program(&self) -> bool {
        [procfile, go, rust, python].iter().any(|recogniser| recogniser(self).is_some())
    }

    fn runs_server(&self) -> bool {
        self.node.is_some_and(|node| match &node.shape {
            Shape::Server { .. } => true,
            Shape::Framework(choice) => matches!(choice.outcome, Outcome::Server { .. }),
            Shape::BuildScript { .. } | Shape::Nothing => false,
        })
    }

    fn framework(&self) -> Option<Sourced<String>> {
        match &self.node?.shape {
            Shape::Framework(choice) => Some(Sourced::new(choice.framework.name.to_owned(), choice.from.clone())),
            _ => None,
        }
    }
}

fn program(kind: ProjectKind, from: String) -> Option<Found> {
    Some(Found { kind, from, framework: None, output: None, spa: None, command: None })
}

fn files(output: &str, from: String) -> Option<Found> {
    let output = Some(Sourced::new(output.to_owned(), from.clone()));
    Some(Found { kind: ProjectKind::Static, from, framework: None, output, spa: None, command: None })
}

/// `[run] start` says that it runs; what is there says in which language.
fn configured_start(source: &Source<'_>) -> Option<Found> {
    source.project.config.run.start.as_ref()?;
    let languages: &[Recogniser] = &[node_framework_server, go, rust, python, any_node, python_processes];
    let found = languages.iter().find_map(|recogniser| recogniser(source));
    let mut found = found.or_else(|| program(ProjectKind::Procfile, String::new()))?;
    found.from = format!("{} run.start", source.project.config_file);
    Some(found)
}

fn any_node(source: &Source<'_>) -> Option<Found> {
    program(ProjectKind::NodeServer, source.node?.package.file.clone())
}

/// A `package.json` that does not say how it starts, beside a Procfile that does.
fn node_processes(source: &Source<'_>) -> Option<Found> {
    procfile(source)?;
    any_node(source)
}

/// Processes that run Python, of a project that needs no packages.
fn python_processes(source: &Source<'_>) -> Option<Found> {
    let file = source.path("Procfile");
    let start = source.project.config.run.start.clone().unwrap_or_else(|| source.view.glance(&file));
    if lone::runs_python(&start) { program(ProjectKind::Python, file) } else { None }
}

fn lone_python(source: &Source<'_>) -> Option<Found> {
    program(ProjectKind::Python, lone::python(&source.view, &source.project.root)?)
}

/// `[build] output` says that the result is files, whatever else the source looks like.
fn configured_output(source: &Source<'_>) -> Option<Found> {
    source.project.config.build.output.as_ref()?;
    let kind = if source.node.is_some() { ProjectKind::NodeStatic } else { ProjectKind::Static };
    let spa = match &source.node.map(|node| &node.shape) {
        Some(Shape::Framework(choice)) => match &choice.outcome {
            Outcome::Static { spa, .. } => Some(spa.clone()),
            Outcome::Server { .. } => None,
        },
        _ => None,
    };
    let from = format!("{} build.output", source.project.config_file);
    Some(Found { kind, from, framework: source.framework(), output: None, spa, command: None })
}

fn node_framework_site(source: &Source<'_>) -> Option<Found> {
    let Shape::Framework(choice) = &source.node?.shape else { return None };
    let Outcome::Static { output, spa } = &choice.outcome else { return None };
    Some(Found {
        kind: ProjectKind::NodeStatic,
        from: choice.from.clone(),
        framework: source.framework(),
        output: Some(output.clone()),
        spa: Some(spa.clone()),
        command: None,
    })
}

/// A `build` script of the project's own; beside a program it only makes that program's assets.
fn node_script_site(source: &Source<'_>) -> Option<Found> {
    let node = source.node?;
    let Shape::BuildScript { from } = &node.shape else { return None };
    if source.is_program() || source.first_of(DOCKERFILES).is_some() && !source.has("index.html") {
        return None;
    }
    let output = match source.hosted.output() {
        Some(output) => Sourced::new(output.value, format!("{GUESS}: {}", output.from)),
        None => Sourced::new(
            "dist".to_owned(),
            format!("{GUESS}: the first folder of {}", super::GENERIC_OUTPUTS.join(", ")),
        ),
    };
    Some(Found {
        kind: ProjectKind::NodeStatic,
        from: from.clone(),
        framework: None,
        output: Some(output),
        spa: Some(super::framework::routes_in_browser(&node.package)),
        command: None,
    })
}

/// The folder that a file for another host serves, with the command that makes it: what is there already, or what the command leaves.
fn hosted_output(source: &Source<'_>) -> Option<Found> {
    if source.is_program() || source.runs_server() {
        return None;
    }
    let (output, is_built) = source.hosted.site(&source.view, source.project)?;
    let mut found = files(&output.value, output.from)?;
    found.command = source.hosted.command.clone();
    if is_built && source.node.is_some() {
        found.kind = ProjectKind::NodeStatic;
    }
    Some(found)
}

/// Pages at the root or in a folder that is meant to be served.
fn pages(source: &Source<'_>) -> Option<Found> {
    if source.is_program() || source.runs_server() {
        return None;
    }
    if source.has("index.html") {
        let kind = files("", source.path("index.html"));
        return with_own_command(source, kind);
    }
    let folder = ["public", "dist", "build", "out", "_site", "www"]
        .into_iter()
        .find(|folder| source.has(&format!("{folder}/index.html")))?;
    with_own_command(source, files(folder, source.path(&format!("{folder}/index.html"))))
}

fn loose_pages(source: &Source<'_>) -> Option<Found> {
    let mut below = source.view.below(&source.project.root).filter(|path| path.ends_with(".html"));
    let first = below.next()?;
    let all_public = first.starts_with("public/") && below.all(|path| path.starts_with("public/"));
    with_own_command(source, files(if all_public { "public" } else { "" }, source.path(first)))
}

/// Pages that a command of `skylift.toml` builds in a folder with a `package.json` need its dependencies.
fn with_own_command(source: &Source<'_>, found: Option<Found>) -> Option<Found> {
    let mut found = found?;
    let has_command = source.project.config.build.command.as_deref().is_some_and(|command| !command.is_empty());
    if has_command && source.node.is_some() {
        found.kind = ProjectKind::NodeStatic;
        found.from = format!("{} build.command", source.project.config_file);
    }
    Some(found)
}

const DOCKERFILES: &[&str] = &["Dockerfile", "Containerfile"];

fn dockerfile(source: &Source<'_>) -> Option<Found> {
    program(ProjectKind::Dockerfile, source.first_of(DOCKERFILES)?)
}

fn procfile(source: &Source<'_>) -> Option<Found> {
    program(ProjectKind::Procfile, source.first_of(&["Procfile"])?)
}

fn node_framework_server(source: &Source<'_>) -> Option<Found> {
    let Shape::Framework(choice) = &source.node?.shape else { return None };
    let Outcome::Server { from, .. } = &choice.outcome else { return None };
    let mut found = program(ProjectKind::NodeServer, from.clone())?;
    found.framework = source.framework();
    Some(found)
}

fn go(source: &Source<'_>) -> Option<Found> {
    program(ProjectKind::Go, source.first_of(&["go.mod"])?)
}

fn rust(source: &Source<'_>) -> Option<Found> {
    program(ProjectKind::Rust, source.first_of(&["Cargo.toml"])?)
}

fn python(source: &Source<'_>) -> Option<Found> {
    let mut found = program(ProjectKind::Python, source.first_of(super::python::MARKERS)?)?;
    found.framework = python_framework(source);
    Some(found)
}

/// The framework that a Python project names as a dependency.
fn python_framework(source: &Source<'_>) -> Option<Sourced<String>> {
    for file in ["requirements.txt", "pyproject.toml", "Pipfile"] {
        let path = source.path(file);
        let text = source.view.glance(&path).to_ascii_lowercase();
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').collect::<Vec<_>>();
        for framework in ["django", "fastapi", "flask", "streamlit"] {
            if names.contains(&framework) {
                return Some(Sourced::new(framework.to_owned(), path));
            }
        }
    }
    None
}

fn node_server(source: &Source<'_>) -> Option<Found> {
    let Shape::Server { from } = &source.node?.shape else { return None };
    program(ProjectKind::NodeServer, from.clone())
}
