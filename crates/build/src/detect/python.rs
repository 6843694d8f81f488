//! Python: a virtual environment beside the project, and the server that its packages name.

mod app_object;
mod start;

use toml::{Table, Value};

pub(crate) use start::{PROGRAMS, start};

use super::error::DetectError;
use super::framework::Sourced;
use super::recipe::Recipe;
use super::rust_app::syntax;
use super::view::{View, join};

/// The files that say what a project needs, the one that counts first.
pub(crate) const MARKERS: &[&str] = &["requirements.txt", "uv.lock", "pyproject.toml", "Pipfile", "manage.py"];

/// Makes the environment, and installs into it. The server's own pip does, so that the program need not bring one.
const MAKE: &str = "python3 -m venv --without-pip .venv";
const PIP: &str = "pip3 --python .venv install";

/// How dependencies are installed; whoever decides how it starts is asked apart.
pub(crate) fn recipe(view: &View<'_>, root: &str) -> Result<Recipe, DetectError> {
    let has = |name: &str| view.has(&join(root, name));
    let mut recipe = Recipe::default();
    let Some(name) = MARKERS.iter().find(|name| has(name)) else {
        recipe.install = Some(Sourced::new(MAKE.to_owned(), "default"));
        return Ok(recipe);
    };
    let file = join(root, name);
    let steps = match *name {
        "requirements.txt" => {
            let text = view.text(&file)?.unwrap_or_default();
            recipe.reads_source = text.lines().find(|line| names_folder(line)).map(|_| file.clone());
            Some(format!("{PIP} -r requirements.txt"))
        }
        "uv.lock" => {
            recipe.reads_source = has_build_system(view, root)?;
            Some(from_uv(recipe.reads_source.is_some()))
        }
        "pyproject.toml" => {
            recipe.reads_source = has_build_system(view, root)?;
            from_pyproject(view, root, recipe.reads_source.is_some())?
        }
        "Pipfile" => return Err(DetectError::NoInstall { file }),
        _ => None,
    };
    let steps: Vec<String> = [Some(MAKE.to_owned()), steps].into_iter().flatten().collect();
    recipe.install = Some(Sourced::new(steps.join(" && "), file));
    Ok(recipe)
}

/// A requirement that is a folder of the source.
fn names_folder(line: &str) -> bool {
    let line = line.trim();
    ["-e", "--editable", ".", "file:"].iter().any(|start| line.starts_with(start)) || line.contains("@ file:")
}

/// What a lockfile of uv names, with the digests it names. uv itself stays out of the program.
fn from_uv(has_project: bool) -> String {
    let uv = "pip3 install -q -t ~/uv uv && ~/uv/bin/uv export -q --frozen --no-dev --no-emit-project -o ~/all.txt";
    let mut steps = vec![uv.to_owned(), format!("{PIP} -r ~/all.txt")];
    if has_project {
        steps.push(format!("{PIP} --no-deps ."));
    }
    steps.join(" && ")
}

/// Where there is a build system, the project itself is a package; else only what it depends on is installed.
fn from_pyproject(view: &View<'_>, root: &str, has_project: bool) -> Result<Option<String>, DetectError> {
    if has_project {
        return Ok(Some(format!("{PIP} .")));
    }
    let table = pyproject(view, root)?;
    let listed = table.get("project").and_then(|project| project.get("dependencies")?.as_array());
    let named: Vec<_> = listed.into_iter().flatten().filter_map(Value::as_str).map(quoted).collect();
    Ok((!named.is_empty()).then(|| format!("{PIP} {}", named.join(" "))))
}

/// The file that makes the project a package of its own.
fn has_build_system(view: &View<'_>, root: &str) -> Result<Option<String>, DetectError> {
    let is_package = pyproject(view, root)?.contains_key("build-system");
    Ok(is_package.then(|| join(root, "pyproject.toml")))
}

fn pyproject(view: &View<'_>, root: &str) -> Result<Table, DetectError> {
    let file = join(root, "pyproject.toml");
    let text = view.text(&file)?.unwrap_or_default();
    text.parse().map_err(|error: toml::de::Error| syntax(&file, &text, &error))
}

/// A word of a command, whatever is in it.
fn quoted(word: &str) -> String {
    let plain: String = word.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("'{}'", plain.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_command_stays_one_word() {
        assert_eq!(quoted("flask>=3; python_version > '3'"), r"'flask>=3; python_version > '\''3'\'''");
        assert_eq!(quoted("a\nb"), "'a b'");
    }

    #[test]
    fn requirements_that_are_folders_are_seen() {
        for line in ["-e .", "./lib", ".", "lib @ file:///srv/lib", " --editable x"] {
            assert!(names_folder(line), "{line}");
        }
        assert!(!names_folder("flask==3.1") && !names_folder("-r more.txt"));
    }
}
