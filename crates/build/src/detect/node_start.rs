//! How a Node project that listens is started: its own script, else the way of its framework, else its main file.

use super::framework::{Choice, Outcome};
use super::manager::Manager;
use super::node_app::{NodeApp, Shape, is_development};
use super::recipe::Start;
use super::script::{self, Call};
use super::view::{View, join};

/// Scripts that start what was built, where `start` is for whoever works on it.
const PRODUCTION_SCRIPTS: &[&str] = &["start:prod", "start:production"];
/// Programs that start again whenever a file changes, or compile at each start.
const WATCHERS: &[&str] = &["nest", "nodemon", "ts-node-dev"];
/// Files that are a project's program as a rule.
pub(crate) const MAIN_FILES: &[&str] =
    &["server.js", "index.js", "app.js", "server.mjs", "index.mjs", "server.cjs", "main.js"];

pub(crate) fn start(view: &View<'_>, root: &str, node: &NodeApp, manager: &Manager) -> Start {
    let package = &node.package;
    let calls = script::calls(&package.scripts, "start");
    let watches = calls.iter().any(|call| WATCHERS.contains(&call.program.as_str()));
    let production = PRODUCTION_SCRIPTS.iter().find(|name| package.scripts.contains_key(**name));
    if let Some(name) = production.filter(|_| watches || calls.is_empty()) {
        return script_start(node, manager, name);
    }
    if calls.iter().any(serves) {
        return script_start(node, manager, "start");
    }
    if let Shape::Framework(Choice { framework, outcome: Outcome::Server { start, .. }, .. }) = &node.shape {
        return match start {
            Some(command) => Start::known(command.value.clone(), command.from.clone()),
            None => Start::unknown(format!("{} starts in more than one way", framework.name)),
        };
    }
    main_file(view, root, node).unwrap_or_else(|| {
        Start::unknown(format!("{} has no script `start` and no `main` that is there", package.file))
    })
}

/// Whether a call of `start` answers requests as it should where nobody works on the project.
fn serves(call: &Call) -> bool {
    !is_development(&call.program) && call.operand(0) != Some("dev")
}

/// The script's own text, which starts sooner and gets signals at first hand; through the package manager only where
/// that does more than run it.
fn script_start(node: &NodeApp, manager: &Manager, name: &str) -> Start {
    let package = &node.package;
    let from = package.field(&format!("scripts.{name}"));
    let has_hook = ["pre", "post"].iter().any(|hook| package.scripts.contains_key(&format!("{hook}{name}")));
    match package.scripts.get(name) {
        Some(text) if !has_hook => Start::known(text.trim(), from),
        _ => Start::known(manager.run(name), from),
    }
}

/// `main`, which a build may have to make first, or a file that is usually it.
fn main_file(view: &View<'_>, root: &str, node: &NodeApp) -> Option<Start> {
    let package = &node.package;
    let main = package.main.as_deref().map(|main| main.trim_start_matches("./"));
    let builds = package.scripts.contains_key("build");
    let exists = |path: &str| view.has(&join(root, path));
    let main = main.filter(|main| exists(main) || builds).and_then(|main| super::view::resolve("", main));
    if let Some(main) = main.filter(|main| !main.is_empty() && is_plain(main)) {
        return Some(Start::known(format!("node {main}"), package.field("main")));
    }
    let file = MAIN_FILES.iter().find(|file| exists(file))?;
    Some(Start::known(format!("node {file}"), join(root, file)))
}

/// Whether a path can stand in a command as it is.
fn is_plain(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'@'))
        && !path.starts_with('-')
}
