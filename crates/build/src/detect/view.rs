//! Questions that detection asks of a listing.

use skylift_model::FilePath;

use super::error::DetectError;
use super::listing::{Listing, READ_BYTES_MAX};

#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    listing: &'a dyn Listing,
}

impl<'a> View<'a> {
    pub(crate) fn new(listing: &'a dyn Listing) -> Self {
        Self { listing }
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.listing.paths().binary_search_by(|known| known.as_str().cmp(path)).is_ok()
    }

    /// Whether there is a file below this folder; always for the source itself.
    pub(crate) fn has_folder(&self, folder: &str) -> bool {
        folder.is_empty() || self.below(folder).next().is_some()
    }

    /// The files below a folder, as they are called from there.
    pub(crate) fn below(&self, folder: &str) -> impl Iterator<Item = &'a str> {
        let paths = self.listing.paths();
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let start = paths.partition_point(|path| path.as_str() < prefix.as_str());
        let folder = folder.to_owned();
        paths.get(start..).unwrap_or_default().iter().map_while(move |path: &FilePath| path.below(&folder))
    }

    /// The first of these names that is a file in the folder, with the folder.
    pub(crate) fn first_of(&self, folder: &str, names: &[&str]) -> Option<String> {
        names.iter().map(|name| join(folder, name)).find(|path| self.has(path))
    }

    /// The text of a file that decides something; `None` where there is none.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, DetectError> {
        if !self.has(path) {
            return Ok(None);
        }
        let file = path.to_owned();
        let Some(bytes) = self.listing.read(path) else { return Err(DetectError::Unreadable { file }) };
        if bytes.len() > READ_BYTES_MAX {
            return Err(DetectError::TooLarge { file });
        }
        let text = String::from_utf8(bytes).map_err(|_| DetectError::NotText { file })?;
        Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
    }

    /// As much of a file as will be read, for a look that may fail; empty where there is none.
    pub(crate) fn glance(&self, path: &str) -> String {
        if !self.has(path) {
            return String::new();
        }
        let mut bytes = self.listing.read(path).unwrap_or_default();
        bytes.truncate(READ_BYTES_MAX);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A path below a folder, which may be empty.
pub(crate) fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// The folder above, `None` for the source itself.
pub(crate) fn parent(folder: &str) -> Option<&str> {
    match folder.rsplit_once('/') {
        Some((above, _)) => Some(above),
        None => (!folder.is_empty()).then_some(""),
    }
}

/// A folder as a configuration file names it (`./x`, `../x`), seen from `base`; `None` where it leads out of `top`.
pub(crate) fn resolve(base: &str, named: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    if named.starts_with('/') {
        return None;
    }
    for part in named.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if path.is_empty() || path.parse::<FilePath>().is_ok() { Some(path) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::listing::MapListing;

    #[test]
    fn files_below_a_folder_do_not_include_its_neighbours() {
        let names = ["app.js", "app-x/a", "app/b", "app/c/d", "app0/e"];
        let listing = MapListing::new(names.map(|name| (name.parse().unwrap(), Vec::new())));
        let view = View::new(&listing);
        assert_eq!(view.below("app").collect::<Vec<_>>(), ["b", "c/d"]);
        assert!(view.has("app/c/d") && !view.has("app/c"));
        assert!(view.has_folder("app/c") && !view.has_folder("ap"));
        assert_eq!(view.below("").count(), 5);
    }

    #[test]
    fn folders_that_lead_out_of_the_source_do_not_resolve() {
        assert_eq!(resolve("src", "../dist").as_deref(), Some("dist"));
        assert_eq!(resolve("", "./dist/").as_deref(), Some("dist"));
        assert_eq!(resolve("docs", "..").as_deref(), Some(""));
        for outside in ["../../x", "/tmp/x", "../../../etc"] {
            assert_eq!(resolve("src", outside), None, "{outside}");
        }
        assert_eq!(resolve("", ".git/x"), None);
    }
}
