//! Which folder of a source is the project, and which `skylift.toml` speaks for it.

use crate::app_config::{AppConfig, FILE_NAME, parse_folder};

use super::error::DetectError;
use super::view::{View, join};

/// The project that a plan is made for.
pub(crate) struct Project {
    /// Its folder, relative to the source.
    pub(crate) root: String,
    /// What chose the folder.
    pub(crate) root_from: String,
    pub(crate) config: AppConfig,
    /// Where the settings were read; empty where there are none.
    pub(crate) config_file: String,
}

/// Finds the project.
///
/// `dir`, from the request, wins over `root` of the `skylift.toml` at the top. Settings are those of the project's own
/// folder; where it has none, those at the top, unless they are for another folder.
pub(crate) fn find(view: &View<'_>, dir: Option<&str>) -> Result<Project, DetectError> {
    let base = parse_dir(dir)?;
    let base_from = if base.is_empty() { "default" } else { "--dir" };
    require_folder(view, &base, base_from)?;
    let Some((outer, outer_file)) = load(view, &base)? else { return from_above(view, base, base_from) };
    let named = outer.root.clone().unwrap_or_default();
    if named.is_empty() {
        return Ok(Project { root: base, root_from: base_from.into(), config: outer, config_file: outer_file });
    }
    let root = join(&base, &named);
    let root_from = format!("{outer_file} root");
    require_folder(view, &root, &root_from)?;
    let Some((inner, inner_file)) = load(view, &root)? else {
        return Ok(Project { root, root_from, config: outer, config_file: outer_file });
    };
    let only_root = AppConfig { root: outer.root.clone(), ..AppConfig::default() };
    if outer != only_root || inner.root.as_deref().is_some_and(|root| !root.is_empty()) {
        return Err(DetectError::TwoConfigs { outer: outer_file, inner: inner_file });
    }
    Ok(Project { root, root_from, config: inner, config_file: inner_file })
}

/// The settings at the top, for a folder that has none of its own.
fn from_above(view: &View<'_>, root: String, from: &str) -> Result<Project, DetectError> {
    let top = if root.is_empty() { None } else { load(view, "")? };
    let top = top.filter(|(config, _)| config.root.as_ref().is_none_or(|named| *named == root));
    let (config, config_file) = top.unwrap_or_default();
    Ok(Project { root, root_from: from.into(), config, config_file })
}

fn parse_dir(dir: Option<&str>) -> Result<String, DetectError> {
    let text = dir.unwrap_or_default();
    parse_folder(text).map_err(|reason| DetectError::InvalidFolder { folder: text.to_owned(), reason })
}

fn require_folder(view: &View<'_>, folder: &str, from: &str) -> Result<(), DetectError> {
    if view.has_folder(folder) {
        return Ok(());
    }
    Err(DetectError::NoFolder { folder: folder.to_owned(), from: from.to_owned() })
}

fn load(view: &View<'_>, folder: &str) -> Result<Option<(AppConfig, String)>, DetectError> {
    let file = join(folder, FILE_NAME);
    let Some(text) = view.text(&file)? else { return Ok(None) };
    match AppConfig::parse(&text) {
        Ok(config) => Ok(Some((config, file))),
        Err(mistakes) => Err(DetectError::Config { file, mistakes }),
    }
}

/// Folders below that look like projects, nearest first, for the hint when the folder itself is none.
pub(crate) fn projects_below(view: &View<'_>, root: &str) -> Vec<String> {
    const MARKERS: &[&str] =
        &["package.json", "index.html", "Dockerfile", "go.mod", "Cargo.toml", "requirements.txt", "pyproject.toml"];
    let folders = view.below(root).filter_map(|path| path.rsplit_once('/'));
    let mut folders: Vec<&str> = folders.filter(|(_, name)| MARKERS.contains(name)).map(|(folder, _)| folder).collect();
    folders.sort_by_key(|folder| (folder.matches('/').count(), *folder));
    folders.dedup();
    folders.truncate(5);
    folders.into_iter().map(|folder| join(root, folder)).collect()
}
