//! `package.json`, read leniently: a field of the wrong kind counts as missing, as npm's tools treat it.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::DetectError;
use super::view::{View, join};

#[derive(Debug, Default)]
pub(crate) struct PackageJson {
    /// Its path in the source.
    pub(crate) file: String,
    pub(crate) scripts: BTreeMap<String, String>,
    pub(crate) dependencies: BTreeMap<String, String>,
    pub(crate) dev_dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeSet<String>,
    pub(crate) engines: BTreeMap<String, String>,
    pub(crate) package_manager: Option<String>,
    /// The patterns of its workspaces, where it has any.
    pub(crate) workspaces: Option<Vec<String>>,
    pub(crate) main: Option<String>,
}

impl PackageJson {
    /// The `package.json` of a folder, where it has one.
    pub(crate) fn load(view: &View<'_>, folder: &str) -> Result<Option<Self>, DetectError> {
        let file = join(folder, "package.json");
        let Some(json) = view.text(&file)? else { return Ok(None) };
        let value = parse_json(&file, &json)?;
        if !value.is_object() {
            let reason = "the file must hold an object, `{ … }`".to_owned();
            return Err(DetectError::Syntax { file, line: 1, column: 1, reason });
        }
        Ok(Some(Self {
            scripts: texts(&value, "scripts"),
            dependencies: texts(&value, "dependencies"),
            dev_dependencies: texts(&value, "devDependencies"),
            optional_dependencies: texts(&value, "optionalDependencies").into_keys().collect(),
            engines: texts(&value, "engines"),
            package_manager: text(&value, "packageManager"),
            workspaces: workspaces(&value),
            main: text(&value, "main"),
            file,
        }))
    }

    /// What a program without one is taken to have: nothing but itself.
    pub(crate) fn none_but(program: &str) -> Self {
        Self { file: program.to_owned(), ..Self::default() }
    }

    /// The field that names this package, such as `devDependencies`.
    pub(crate) fn field_of(&self, package: &str) -> Option<&'static str> {
        if self.dependencies.contains_key(package) {
            Some("dependencies")
        } else if self.dev_dependencies.contains_key(package) {
            Some("devDependencies")
        } else {
            self.optional_dependencies.contains(package).then_some("optionalDependencies")
        }
    }

    pub(crate) fn has(&self, package: &str) -> bool {
        self.field_of(package).is_some()
    }

    /// The first of these packages that it names, as `package.json devDependencies.vite`.
    pub(crate) fn naming(&self, packages: &[&str]) -> Option<String> {
        packages.iter().find_map(|name| self.field_of(name).map(|field| format!("{} {field}.{name}", self.file)))
    }

    pub(crate) fn package_names(&self) -> impl Iterator<Item = &str> {
        let own = self.dependencies.keys().chain(self.dev_dependencies.keys());
        own.chain(self.optional_dependencies.iter()).map(String::as_str)
    }

    pub(crate) fn has_packages(&self) -> bool {
        self.package_names().next().is_some()
    }

    /// `package.json scripts.build`.
    pub(crate) fn field(&self, field: &str) -> String {
        format!("{} {field}", self.file)
    }
}

/// Parses JSON, told with file, line and column where it is broken.
pub(crate) fn parse_json(file: &str, text: &str) -> Result<Value, DetectError> {
    parse_typed(file, text)
}

/// The same into a type that says which values are wanted.
pub(crate) fn parse_typed<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, DetectError> {
    serde_json::from_str(text).map_err(|error| {
        let told = error.to_string();
        let reason = told.rsplit_once(" at line ").map_or(told.as_str(), |(reason, _)| reason).to_owned();
        DetectError::Syntax { file: file.to_owned(), line: error.line(), column: error.column(), reason }
    })
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

fn texts(value: &Value, field: &str) -> BTreeMap<String, String> {
    let Some(fields) = value.get(field).and_then(Value::as_object) else { return BTreeMap::new() };
    fields.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn workspaces(value: &Value) -> Option<Vec<String>> {
    let field = value.get("workspaces")?;
    let patterns = field.as_array().or_else(|| field.get("packages")?.as_array())?;
    Some(patterns.iter().filter_map(|pattern| pattern.as_str().map(str::to_owned)).collect())
}
