//! What the owner of a site should know of its files before visitors find out.

use skylift_model::site::{Compat, Site};
use skylift_model::{FilePath, Manifest};
use skylift_rules::{Ask, Decision, FileExists, RuleSet, Rules};

/// Folders of functions, which hold nothing else.
const FUNCTIONS: &[&str] = &["netlify/functions", "netlify/edge-functions"];
/// What functions are written in.
const SOURCES: &[&str] = &["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "py", "go", "rb", "rs", "php"];

/// The warnings for a site that was made of a source's project in the folder `root`. `has_start` says whether a file or a rule
/// answers `/`.
pub(crate) fn warnings(site: &Site, source: &Manifest, root: &str, has_start: bool) -> Vec<String> {
    let without_start = (!has_start).then(|| {
        "warning: there is no index.html at the root: / answers 404. Name the folder with the pages in skylift.toml: [build] output = \"…\""
            .to_owned()
    });
    without_start.into_iter().chain(functions(site, source, root)).collect()
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

/// Files that look like functions: served, so that everybody can read them; else those that nothing else can be.
fn functions(site: &Site, source: &Manifest, root: &str) -> Option<String> {
    let mut folders: Vec<&str> = FUNCTIONS.to_vec();
    let own = if site.settings.compat == Compat::Cloudflare { "functions" } else { "api" };
    // With pages beside them they are the scripts of these pages.
    let has_pages = site.files.keys().filter_map(|path| path.below(own)).any(|name| name.ends_with(".html"));
    if !has_pages {
        folders.push(own);
    }
    let served: Vec<&str> = site
        .files
        .keys()
        .filter(|path| folders.iter().any(|folder| is_source_in(path, folder)))
        .map(FilePath::as_str)
        .collect();
    if let Some(first) = served.first() {
        let which = and_more(first, served.len());
        return Some(format!(
            "warning: functions are not run: {which} served as written, so that everybody can read the source. Leave them out in .skyliftignore"
        ));
    }
    let in_project = |path: &FilePath, folder: &&str| is_source_in(path, &crate::builder::joined(root, folder));
    let unserved: Vec<&str> = source
        .files()
        .iter()
        .filter(|file| FUNCTIONS.iter().any(|folder| in_project(&file.path, folder)))
        .map(|file| file.path.as_str())
        .collect();
    let first = unserved.first()?;
    Some(format!("warning: functions are not run: {} without effect", and_more(first, unserved.len())))
}

fn is_source_in(path: &FilePath, folder: &str) -> bool {
    let extension = path.below(folder).and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    extension.is_some_and(|extension| SOURCES.contains(&extension))
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
    use skylift_model::site::{Asset, SiteSettings};
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
        warnings(&site(paths), &source(paths), "", true).join("\n")
    }

    #[test]
    fn a_site_without_a_start_page_is_told() {
        let told_of = |redirects: &str| {
            let mut site = site(&["site/index.html"]);
            let sources = Sources { redirects: Some(redirects.as_bytes()), ..Sources::default() };
            site.rules = skylift_rules::read(&sources).rules;
            let has_start = has_start_page(&site) || has_start_rule(site.rules.clone());
            warnings(&site, &source(&["site/index.html"]), "", has_start).join("\n")
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
    fn functions_that_are_served_are_told_once() {
        let api = told(&["index.html", "api/hello.js", "api/lib/x.ts", "api/data.json", "netlify/functions/y.mjs"]);
        assert!(
            api.starts_with("warning: functions are not run: `api/hello.js` and 2 more are served as written"),
            "{api}"
        );
        assert_eq!(api.lines().count(), 1);
        let one = told(&["index.html", "netlify/edge-functions/geo.ts"]);
        assert!(one.contains("`netlify/edge-functions/geo.ts` is served"), "{one}");
        for plain in ["api/users.json", "apis/x.js", "js/api/x.js", "netlify/functions/readme.txt", "functions/x.js"] {
            assert_eq!(told(&["index.html", plain]), "", "{plain}");
        }
        let docs = ["index.html", "api/index.html", "api/search.js"];
        assert_eq!(told(&docs), "", "pages about an API with a script");
    }

    #[test]
    fn cloudflares_functions_have_a_folder_of_their_own() {
        let mut site = site(&["index.html", "api/x.js", "functions/y.js"]);
        site.settings = SiteSettings { compat: Compat::Cloudflare, ..site.settings };
        let told = warnings(&site, &source(&[]), "", true).join("\n");
        assert!(told.contains("`functions/y.js` is served"), "{told}");
    }

    #[test]
    fn functions_that_are_not_served_are_told_as_without_effect() {
        let source = source(&["web/netlify/functions/a.js", "web/api/b.js", "netlify/functions/other.js"]);
        let told = warnings(&site(&["index.html"]), &source, "web", true).join("\n");
        assert_eq!(told, "warning: functions are not run: `web/netlify/functions/a.js` is without effect");
        assert_eq!(warnings(&site(&["index.html"]), &source, "elsewhere", true), Vec::<String>::new());
    }
}
