//! Go: `go build` makes one program, `bin/app`.

use super::framework::Sourced;
use super::recipe::{Recipe, Start};
use super::view::{View, join};

/// What the build makes, seen from the project's folder.
const PROGRAM: &str = "./bin/app";

pub(crate) fn recipe(view: &View<'_>, root: &str) -> Recipe {
    let Some((package, from)) = main_package(view, root) else {
        let why = "it has no `package main` in its folder, and none or several below `cmd`";
        return Recipe { start: Some(Start::unknown(why)), ..Recipe::default() };
    };
    Recipe {
        build: Some(Sourced::new(format!("go build -o bin/app {package}"), from.clone())),
        start: Some(Start::known(PROGRAM, from)),
        ..Recipe::default()
    }
}

/// The package of the program as `go build` names it, and the file that says so.
fn main_package(view: &View<'_>, root: &str) -> Option<(String, String)> {
    let is_main = |path: &str| {
        let text = view.glance(&join(root, path));
        text.lines().any(|line| line.split_whitespace().take(2).eq(["package", "main"]))
    };
    let own = view.below(root).find(|path| !path.contains('/') && is_source(path) && is_main(path));
    if let Some(file) = own {
        return Some((".".to_owned(), join(root, file)));
    }
    let commands = join(root, "cmd");
    let mut found: Vec<(&str, &str)> = view
        .below(&commands)
        .filter(|path| is_source(path))
        .filter_map(|path| Some((path.split_once('/').filter(|(_, name)| !name.contains('/'))?.0, path)))
        .filter(|(folder, path)| is_plain(folder) && is_main(&format!("cmd/{path}")))
        .collect();
    found.dedup_by_key(|(folder, _)| *folder);
    match found.as_slice() {
        [(folder, path)] => Some((format!("./cmd/{folder}"), join(&commands, path))),
        _ => None,
    }
}

fn is_source(path: &str) -> bool {
    path.ends_with(".go") && !path.ends_with("_test.go")
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
