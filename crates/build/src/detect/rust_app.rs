//! Rust: `cargo build` in release mode; of what it makes, the programs are kept.

use toml::{Table, Value};

use super::error::DetectError;
use super::framework::Sourced;
use super::recipe::{Recipe, Start};
use super::view::{View, join, parent};

/// Where cargo keeps what it compiled, inside a build: it stays for the next build of the app.
const TARGET: &str = "/cache/target";

pub(crate) fn recipe(view: &View<'_>, root: &str) -> Result<Recipe, DetectError> {
    let file = join(root, "Cargo.toml");
    let text = view.text(&file)?.unwrap_or_default();
    let manifest: Table = text.parse().map_err(|error: toml::de::Error| syntax(&file, &text, &error))?;
    let programs = programs(view, root, &manifest);
    let locked = if has_lockfile(view, root) { " --locked" } else { "" };
    let copies: Vec<_> = programs.iter().map(|name| format!("{TARGET}/release/{name}")).collect();
    let build = format!(
        "cargo build --release{locked} --target-dir {TARGET} && mkdir -p target/release && cp {} target/release/",
        copies.join(" ")
    );
    let start = match main_program(&manifest, &programs) {
        Some(name) => Start::known(format!("./target/release/{name}"), file.clone()),
        None if programs.is_empty() => Start::unknown(format!("{file} has no program that a name can be told of")),
        None => Start::unknown(format!("{file} has several programs: {}", programs.join(", "))),
    };
    let build = (!programs.is_empty()).then(|| Sourced::new(build, file));
    Ok(Recipe { build, start: Some(start), ..Recipe::default() })
}

/// The names of the programs that `cargo build` makes in this folder.
fn programs(view: &View<'_>, root: &str, manifest: &Table) -> Vec<String> {
    let mut names = Vec::new();
    let listed = manifest.get("bin").and_then(Value::as_array).into_iter().flatten();
    names.extend(listed.filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned)));
    if names.is_empty() && view.has(&join(root, "src/main.rs")) {
        names.extend(package(manifest, "name"));
    }
    for path in view.below(&join(root, "src/bin")) {
        names.extend(path.strip_suffix("/main.rs").or_else(|| path.strip_suffix(".rs")).map(str::to_owned));
    }
    names.retain(|name| is_plain(name));
    names.sort();
    names.dedup();
    names
}

fn main_program(manifest: &Table, programs: &[String]) -> Option<String> {
    let named = |field| package(manifest, field).filter(|name| programs.contains(name));
    let only = || if let [only] = programs { Some(only.clone()) } else { None };
    named("default-run").or_else(|| named("name")).or_else(only)
}

fn package(manifest: &Table, field: &str) -> Option<String> {
    manifest.get("package")?.get(field)?.as_str().map(str::to_owned)
}

/// A workspace has its lockfile at its top.
fn has_lockfile(view: &View<'_>, root: &str) -> bool {
    std::iter::successors(Some(root), |folder| parent(folder)).any(|folder| view.has(&join(folder, "Cargo.lock")))
}

fn is_plain(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_word && !name.is_empty() && !name.starts_with('-')
}

/// A TOML file that cannot be read, with the place.
pub(crate) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> DetectError {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().map_or(0, |rest| rest.chars().count());
    DetectError::Syntax { file: file.to_owned(), line, column, reason: error.message().replace('\n', ", ") }
}
