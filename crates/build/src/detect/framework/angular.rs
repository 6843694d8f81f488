//! Angular: `angular.json` says which builder is used and where it writes.

use serde_json::Value as Json;

use super::{DetectError, Outcome, Site, Sourced, join, resolve};
use crate::detect::js_text::without_comments;
use crate::detect::package_json::parse_json;

pub(super) fn outcome(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let file = join(site.root, "angular.json");
    let Some(text) = site.view.text(&file)? else {
        return Ok(site.static_site(site.folder("", "dist", None), true));
    };
    let workspace = parse_json(&file, &without_comments(&text))?;
    let Some((project, build)) = application(&workspace) else {
        return Ok(site.static_site(site.folder("", "dist", None), true));
    };
    let field = format!("{file} projects.{project}");
    let options = build.get("options").unwrap_or(&Json::Null);
    let mode = options.get("outputMode").and_then(Json::as_str);
    let serves = mode == Some("server") || (mode.is_none() && options.get("ssr").is_some_and(is_on));
    if serves {
        let from = format!("{field} ssr");
        let command = format!("node {}/server/server.mjs", server_folder(build, &project));
        let start = is_plain(&command).then(|| Sourced::new(command, from.clone()));
        return Ok(Outcome::Server { from, start });
    }
    let output = match site.option(&["ng"], &["--output-path"]) {
        Some(output) => Sourced::new(join(&output.value, browser_folder(build, None)), output.from),
        None => configured(site, &project, build, &field),
    };
    Ok(site.static_site(output, mode != Some("static")))
}

/// The first application of the workspace and its `build` target: the default project, else the first by name.
fn application(workspace: &Json) -> Option<(String, &Json)> {
    let projects = workspace.get("projects")?.as_object()?;
    let default = workspace.get("defaultProject").and_then(Json::as_str);
    let is_application = |project: &Json| project.get("projectType").and_then(Json::as_str) != Some("library");
    let mut ordered: Vec<_> = projects.iter().filter(|(_, project)| is_application(project)).collect();
    ordered.sort_by_key(|(name, _)| (Some(name.as_str()) != default, name.as_str()));
    ordered.into_iter().find_map(|(name, project)| {
        let targets = project.get("architect").or_else(|| project.get("targets"))?;
        Some((name.clone(), targets.get("build")?))
    })
}

/// The folder above that of the server's program.
fn server_folder(build: &Json, project: &str) -> String {
    let path = build.get("options").and_then(|options| options.get("outputPath"));
    let base = path.and_then(|path| path.as_str().or_else(|| path.get("base")?.as_str()));
    base.and_then(|base| resolve("", base)).unwrap_or_else(|| format!("dist/{project}"))
}

/// Whether a text can stand in a command as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ./_-@".contains(&byte))
}

fn configured(site: &Site<'_>, project: &str, build: &Json, field: &str) -> Sourced<String> {
    let path = build.get("options").and_then(|options| options.get("outputPath"));
    let base = path.and_then(|path| path.as_str().or_else(|| path.get("base")?.as_str()));
    let from = format!("{field} outputPath");
    match base.map(|base| resolve("", base)) {
        Some(Some(base)) => Sourced::new(join(&base, browser_folder(build, path)), from),
        Some(None) => site.folder("", "dist", Some((super::Value::Computed, from))),
        None => {
            let base = resolve("dist", project).unwrap_or_else(|| "dist".into());
            Sourced::new(join(&base, browser_folder(build, None)), "default of angular")
        }
    }
}

/// The application builders put what browsers get into a folder of its own.
fn browser_folder<'j>(build: &'j Json, path: Option<&'j Json>) -> &'j str {
    let builder = build.get("builder").and_then(Json::as_str).unwrap_or_default();
    if !builder.ends_with(":application") {
        return "";
    }
    let named = path.and_then(|path| path.get("browser")?.as_str()).unwrap_or("browser");
    if resolve("", named).as_deref() == Some(named) { named } else { "" }
}

fn is_on(value: &Json) -> bool {
    !matches!(value, Json::Null | Json::Bool(false))
}
