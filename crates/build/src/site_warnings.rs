//! What the owner of a site should know of its files before visitors find out.

use skylift_model::site::Site;
use skylift_model::{FilePath, Manifest};
use skylift_rules::{Ask, Decision, FileExists, RuleSet, Rules};

use crate::builder::joined;
use crate::withheld::{FUNCTIONS, Withheld, has_pages, is_source};

/// The warnings for a site that was made of a source's project in the folder `root`. `has_start` says whether a file or a rule
/// answers `/`.
pub(crate) fn warnings(
    site: &Site,
    withheld: &Withheld,
    source: &Manifest,
    root: &str,
    has_start: bool,
) -> Vec<String> {
    let without_start = (!has_start).then(|| no_start(source, root));
    let maps = withheld.maps.first().map(|first| {
        format!("{} left out: `source_maps` in skylift.toml", and_more(first.as_str(), withheld.maps.len()))
    });
    without_start.into_iter().chain(functions(site, withheld, source, root)).chain(maps).collect()
}

/// What makes a folder one that could be published itself.
const PROJECT_FILES: &[&str] = &[
    "index.html",
    "package.json",
    "Dockerfile",
    "Procfile",
    "go.mod",
    "Cargo.toml",
    "requirements.txt",
    "pyproject.toml",
    "skylift.toml",
];

/// Nothing answers `/`: often the folder above the project was taken for it.
fn no_start(source: &Manifest, root: &str) -> String {
    let told = "warning: there is no index.html at the root: / answers 404";
    match project_below(source, root) {
        Some((folder, file)) => format!(
            "{told}. Was the folder `{folder}` meant, with its `{file}`? Deploy it with `--dir {folder}`, or with root = \"{folder}\" in skylift.toml"
        ),
        None => format!("{told}. Name the folder with the pages in skylift.toml: [build] output = \"…\""),
    }
}

/// The folder nearest to the project's own that could be one itself, as the source names it, and the file that says so.
fn project_below<'s>(source: &'s Manifest, root: &str) -> Option<(&'s str, &'s str)> {
    let folders = source.files().iter().filter_map(|file| file.path.as_str().rsplit_once('/'));
    let below = folders.filter(|(folder, file)| {
        let inner = if root.is_empty() { Some(*folder) } else { folder.strip_prefix(root) };
        let is_below = inner.is_some_and(|inner| root.is_empty() || inner.starts_with('/'));
        // What package managers bring is nobody's project.
        is_below && PROJECT_FILES.contains(file) && !folder.split('/').any(|part| part == "node_modules")
    });
    let rank = |file: &str| PROJECT_FILES.iter().position(|known| *known == file);
    below.min_by_key(|(folder, file)| (folder.matches('/').count(), *folder, rank(file)))
}

/// Whether a file answers `/`.
pub(crate) fn has_start_page(site: &Site) -> bool {
    site.files.keys().any(|path| path.as_str() == "index.html")
}

/// Whether a rule answers `/` for visitors of whom nothing is known. May take a while where there are many.
pub(crate) fn has_start_rule(rules: RuleSet) -> bool {
    let ask = Ask { scheme: "https", host: "localhost", path: "/", query: None, country: None, header: &|_| None };
    Rules::new(rules).decide(&ask, FileExists::No) != Decision::Serve
}

/// Files that are functions, or look like some: withheld from visitors; else served, so that everybody can read them; else those that
/// nothing else can be.
fn functions(site: &Site, withheld: &Withheld, source: &Manifest, root: &str) -> Option<String> {
    if let Some(first) = withheld.functions.first() {
        let which = and_more(first.as_str(), withheld.functions.len());
        return Some(format!(
            "warning: functions are not run: {which} withheld (404), so that nobody reads the source"
        ));
    }
    // With pages beside them they are the scripts of these pages.
    let is_told = |path: &&FilePath| path.below("api").is_some() && is_source(path) && !has_pages(site, "api");
    let served: Vec<&str> = site.files.keys().filter(is_told).map(FilePath::as_str).collect();
    if let Some(first) = served.first() {
        let which = and_more(first, served.len());
        return Some(format!(
            "warning: functions are not run: {which} served as written, so that everybody can read the source. Leave them out in .skyliftignore"
        ));
    }
    let is_in = |path: &FilePath, folder: &&str| path.below(&joined(root, folder)).is_some() && is_source(path);
    let unserved: Vec<&str> = source
        .files()
        .iter()
        .filter(|file| FUNCTIONS.iter().any(|folder| is_in(&file.path, folder)))
        .map(|file| file.path.as_str())
        .collect();
    let first = unserved.first()?;
    Some(format!("warning: functions are not run: {} without effect", and_more(first, unserved.len())))
}

/// `a.js` is, or `a.js` and 2 more are.
fn and_more(first: &str, count: usize) -> String {
    match count {
        0 | 1 => format!("`{first}` is"),
        _ => format!("`{first}` and {} more are", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skylift_model::site::Asset;
    use skylift_model::{Digest, FileEntry, FileMode};
    use skylift_rules::Sources;

    fn site(paths: &[&str]) -> Site {
        let asset = Asset { sha256: Digest::of(b""), size: 0, variants: Vec::new(), immutable: None };
        let files = paths.iter().map(|path| (path.parse().unwrap(), asset.clone())).collect();
        Site { files, ..Site::default() }
    }

    fn source(paths: &[&str]) -> Manifest {
        let entry = |path: &&str| FileEntry {
            path: path.parse().unwrap(),
            sha256: Digest::of(b""),
            size: 0,
            mode: FileMode::File,
        };
        Manifest::new(paths.iter().map(entry).collect()).unwrap()
    }

    fn told(paths: &[&str]) -> String {
        warnings(&site(paths), &Withheld::default(), &source(paths), "", true).join("\n")
    }

    #[test]
    fn a_site_without_a_start_page_is_told() {
        let told_of = |redirects: &str| {
            let mut site = site(&["site/index.html"]);
            let sources = Sources { redirects: Some(redirects.as_bytes()), ..Sources::default() };
            site.rules = skylift_rules::read(&sources).rules;
            let has_start = has_start_page(&site) || has_start_rule(site.rules.clone());
            warnings(&site, &Withheld::default(), &source(&["site/index.html"]), "", has_start).join("\n")
        };
        assert!(
            told_of("").starts_with("warning: there is no index.html at the root: / answers 404."),
            "{}",
            told_of("")
        );
        assert!(told_of("/a /b\n/ /de/ 302 Language=de\n").contains("/ answers 404"), "others get nothing");
        for answered in ["/ /site/ 302\n", "/* /site/index.html 200\n"] {
            assert_eq!(told_of(answered), "", "{answered}");
        }
        assert!(has_start_page(&site(&["a.html", "index.html"])));
    }

    #[test]
    fn where_the_folder_above_a_project_was_published_the_project_is_named() {
        let told = |paths: &[&str], root: &str| no_start(&source(paths), root);
        let below = told(&["notes.html", "shop/package.json", "shop/public/index.html"], "");
        assert!(
            below.contains("Was the folder `shop` meant, with its `package.json`? Deploy it with `--dir shop`"),
            "{below}"
        );
        let two = told(&["a/b/index.html", "c/requirements.txt", "c/index.html"], "");
        assert!(two.contains("`c` meant, with its `index.html`?"), "{two}");
        let inner = told(&["webs/x/index.html", "web/site/index.html"], "web");
        assert!(inner.contains("`web/site` meant"), "{inner}");
        for none in [&["a.html", "b/c.html"][..], &["a.html", "node_modules/x/package.json"], &["web/index.html"]] {
            let root = if none == ["web/index.html"] { "web" } else { "" };
            assert!(told(none, root).contains("[build] output ="), "{none:?}");
        }
    }

    #[test]
    fn what_may_be_functions_and_is_served_is_told_once() {
        let api = told(&["index.html", "api/hello.js", "api/lib/x.ts", "api/data.json"]);
        assert!(
            api.starts_with("warning: functions are not run: `api/hello.js` and 1 more are served as written"),
            "{api}"
        );
        assert_eq!(api.lines().count(), 1);
        for plain in ["api/users.json", "apis/x.js", "js/api/x.js", "netlify/functions/readme.txt", "functions/x.js"] {
            assert_eq!(told(&["index.html", plain]), "", "{plain}");
        }
        let docs = ["index.html", "api/index.html", "api/search.js"];
        assert_eq!(told(&docs), "", "pages about an API with a script");
    }

    #[test]
    fn what_is_withheld_is_told_once() {
        let paths = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let withheld = Withheld { functions: paths(&["api/a.js", "api/b.ts"]), maps: paths(&["a.js.map"]) };
        let told = warnings(&site(&["index.html"]), &withheld, &source(&["netlify/functions/x.js"]), "", true);
        let expected = [
            "warning: functions are not run: `api/a.js` and 1 more are withheld (404), so that nobody reads the source",
            "`a.js.map` is left out: `source_maps` in skylift.toml",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn functions_that_are_not_served_are_told_as_without_effect() {
        let source = source(&["web/netlify/functions/a.js", "web/api/b.js", "netlify/functions/other.js"]);
        let told = warnings(&site(&["index.html"]), &Withheld::default(), &source, "web", true).join("\n");
        assert_eq!(told, "warning: functions are not run: `web/netlify/functions/a.js` is without effect");
        assert_eq!(
            warnings(&site(&["index.html"]), &Withheld::default(), &source, "elsewhere", true),
            Vec::<String>::new()
        );
    }
}
