//! Files that lie among a site's and are not for its visitors: the sources of functions, server bundles, and source maps where their
//! owner says so. They are no part of the artifact, so that they cannot be served whatever else goes wrong.
//!
//! Pure, and by names alone. Folders of Netlify's hold nothing but functions; `api` and `functions` are names that anybody may give a
//! folder, so they count only where the project is one of Vercel's or Cloudflare's, and only what lies there in the source as well: what
//! a build has made is its result.

use serde::Deserialize;
use skylift_model::site::{Compat, Site};
use skylift_model::{FilePath, Manifest};

use crate::app_config::parse_folder;
use crate::builder::joined;

/// Folders of functions, which hold nothing else.
pub(crate) const FUNCTIONS: &[&str] = &["netlify/functions", "netlify/edge-functions"];
/// What functions are written in.
const SOURCES: &[&str] = &["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "py", "go", "rb", "rs", "php"];
/// The server of a site on Cloudflare Pages, a file or a folder.
const WORKER: &str = "_worker.js";
/// By which a project is known as one of Vercel's, or Cloudflare's.
const VERCELS: &[&str] = &["vercel.json", ".vercelignore"];
const CLOUDFLARES: &[&str] = &["wrangler.toml", "wrangler.json", "wrangler.jsonc"];
/// Ends of the names of source maps.
const MAPS: &[&str] = &[".js.map", ".mjs.map", ".cjs.map", ".css.map"];

/// Where the files of a site come from.
pub(crate) struct Origin<'a> {
    pub(crate) source: &'a Manifest,
    /// The project's folder in the source.
    pub(crate) root: &'a str,
    /// The folder of the site, in the project's.
    pub(crate) output: &'a str,
    /// The folder of functions that `netlify.toml` names, in the project's.
    pub(crate) functions: Option<String>,
}

/// What is left out of a site.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// Functions and server bundles.
    pub(crate) functions: Vec<FilePath>,
    /// Source maps.
    pub(crate) maps: Vec<FilePath>,
}

/// Takes them out of the site.
pub(crate) fn take(site: &mut Site, origin: &Origin<'_>) -> Withheld {
    let mut withheld = Withheld::default();
    for path in site.files.keys() {
        if is_function(site, origin, path) {
            withheld.functions.push(path.clone());
        } else if site.settings.without_source_maps && MAPS.iter().any(|end| path.as_str().ends_with(end)) {
            withheld.maps.push(path.clone());
        }
    }
    site.files.retain(|path, _| !withheld.functions.contains(path) && !withheld.maps.contains(path));
    withheld
}

fn is_function(site: &Site, origin: &Origin<'_>, path: &FilePath) -> bool {
    if path.as_str() == WORKER || path.below(WORKER).is_some() {
        return true;
    }
    let named = origin.functions.as_deref().and_then(|folder| below(folder, origin.output));
    let mut folders = FUNCTIONS.iter().copied().chain(named);
    if folders.any(|folder| path.below(folder).is_some() && (is_source(path) || !has_pages(site, folder))) {
        return true;
    }
    let is_cloudflares = site.settings.compat == Compat::Cloudflare || origin.has_any(CLOUDFLARES);
    if is_cloudflares && path.below("functions").is_some() {
        return origin.is_as_written(site, path) && (is_source(path) || !has_pages(site, "functions"));
    }
    path.below("api").is_some() && is_source(path) && origin.has_any(VERCELS) && origin.is_as_written(site, path)
}

impl Origin<'_> {
    fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.source.get(&joined(self.root, name)).is_some())
    }

    /// Whether the file has the same place and bytes in the project, so that no build has made it.
    fn is_as_written(&self, site: &Site, path: &FilePath) -> bool {
        let written = self.source.get(&joined(self.root, path.as_str())).map(|file| file.sha256);
        let served = site.files.get(path).map(|asset| asset.sha256);
        written.is_some() && written == served
    }
}

/// Whether there are pages in a folder: then what else lies there may belong to them.
pub(crate) fn has_pages(site: &Site, folder: &str) -> bool {
    site.files.keys().filter_map(|path| path.below(folder)).any(|name| name.ends_with(".html"))
}

/// Whether a file is in a language that functions are written in.
pub(crate) fn is_source(path: &FilePath) -> bool {
    path.as_str().rsplit_once('.').is_some_and(|(_, extension)| SOURCES.contains(&extension))
}

/// A folder of the project, as it is called from another one.
fn below<'f>(folder: &'f str, other: &str) -> Option<&'f str> {
    if other.is_empty() { Some(folder) } else { folder.strip_prefix(other)?.strip_prefix('/') }
}

#[derive(Default, Deserialize)]
struct NetlifyToml {
    #[serde(default)]
    build: NetlifyBuild,
    #[serde(default)]
    functions: toml::Table,
}

#[derive(Default, Deserialize)]
struct NetlifyBuild {
    functions: Option<String>,
}

/// The folder of functions that a `netlify.toml` names.
pub(crate) fn functions_of(netlify_toml: &[u8]) -> Option<String> {
    let file: NetlifyToml = toml::from_str(std::str::from_utf8(netlify_toml).ok()?).ok()?;
    let named = file.functions.get("directory").and_then(toml::Value::as_str).map(str::to_owned);
    let folder = parse_folder(named.or(file.build.functions)?.trim_start_matches('/')).ok()?;
    Some(folder).filter(|folder| !folder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skylift_model::site::{Asset, SiteSettings};
    use skylift_model::{Digest, FileEntry, FileMode};

    /// A site of these files, made of a source that has these: `x` of both is the same file, `x!` another one of that name.
    fn withheld_of(files: &[&str], sources: &[&str], settings: SiteSettings, functions: Option<&str>) -> Vec<String> {
        let digest = |name: &str| Digest::of(name.as_bytes());
        let asset = |name: &&str| {
            let asset = Asset { sha256: digest(name), size: 0, variants: Vec::new(), immutable: None };
            (name.trim_end_matches('!').parse().unwrap(), asset)
        };
        let mut site = Site { files: files.iter().map(asset).collect(), settings, ..Site::default() };
        let entry = |path: &&str| FileEntry {
            path: path.parse().unwrap(),
            sha256: digest(path),
            size: 0,
            mode: FileMode::File,
        };
        let source = Manifest::new(sources.iter().map(entry).collect()).unwrap();
        let functions = functions.and_then(|toml| functions_of(toml.as_bytes()));
        let before = site.files.len();
        let Withheld { functions, maps } =
            take(&mut site, &Origin { source: &source, root: "", output: "", functions });
        assert_eq!(before, site.files.len() + functions.len() + maps.len(), "what is told is what is gone");
        functions.into_iter().chain(maps).map(|path| path.as_str().to_owned()).collect()
    }

    fn of(files: &[&str], sources: &[&str]) -> Vec<String> {
        withheld_of(files, sources, SiteSettings::default(), None)
    }

    #[test]
    fn netlifys_folders_are_withheld_with_all_that_is_in_them() {
        let files =
            ["index.html", "netlify/edge-functions/geo.ts", "netlify/functions/a/data.json", "netlify/readme.txt"];
        assert_eq!(of(&files, &files), ["netlify/edge-functions/geo.ts", "netlify/functions/a/data.json"]);
        let pages = ["netlify/functions/index.html", "netlify/functions/logo.png", "netlify/functions/x.mjs"];
        assert_eq!(
            of(&pages, &pages),
            ["netlify/functions/x.mjs"],
            "pages about functions, and what nobody can tell from one"
        );
        assert_eq!(of(&["functions/x.js", "lib/functions/x.js"], &[]), Vec::<String>::new());
    }

    #[test]
    fn the_folder_that_netlify_toml_names_is_one_of_functions() {
        let files = ["index.html", "lambda/a.js", "lambdas/b.js"];
        for toml in [
            "[build]\nfunctions = \"lambda\"\n",
            "[functions]\ndirectory = \"./lambda/\"\nnode_bundler = \"esbuild\"\n",
        ] {
            assert_eq!(withheld_of(&files, &files, SiteSettings::default(), Some(toml)), ["lambda/a.js"], "{toml}");
        }
        for toml in ["[functions]\ndirectory = \".\"\n", "[build]\nfunctions = \"../x\"\n", "broken", ""] {
            assert_eq!(
                withheld_of(&files, &files, SiteSettings::default(), Some(toml)),
                Vec::<String>::new(),
                "{toml}"
            );
        }
        assert_eq!(below("public/lambda", "public"), Some("lambda"));
        assert_eq!((below("lambda", "public"), below("publican/x", "public")), (None, None));
    }

    #[test]
    fn an_api_is_vercels_only_in_a_project_of_vercels_and_only_its_sources() {
        let files = ["api/data.json", "api/hello.js", "api/lib/x.ts", "index.html"];
        let sources = [&files[..], &["vercel.json"]].concat();
        assert_eq!(of(&files, &sources), ["api/hello.js", "api/lib/x.ts"]);
        assert_eq!(of(&files, &files), Vec::<String>::new(), "the control: any other site has an api of its own");
        let built = ["api/client.js!", "api/hello.js"];
        assert_eq!(
            of(&built, &["api/client.js", "api/hello.js", "vercel.json"]),
            ["api/hello.js"],
            "what was built is served"
        );
    }

    #[test]
    fn cloudflares_functions_and_workers_are_withheld() {
        let files = ["_worker.js", "functions/y.js", "functions/z.json", "index.html", "js/functions/a.js"];
        let cloudflare = SiteSettings { compat: Compat::Cloudflare, ..SiteSettings::default() };
        let all = ["_worker.js", "functions/y.js", "functions/z.json"];
        assert_eq!(withheld_of(&files, &files, cloudflare, None), all);
        assert_eq!(of(&files, &[&files[..], &["wrangler.toml"]].concat()), all);
        assert_eq!(of(&files, &files), ["_worker.js"], "the control: a folder of anybody's");
        assert_eq!(of(&["_worker.js/index.js", "_worker.json", "a/_worker.js"], &[]), ["_worker.js/index.js"]);
        let built = ["functions/index.html!", "functions/y.js!"];
        assert_eq!(withheld_of(&built, &files, cloudflare, None), Vec::<String>::new());
    }

    #[test]
    fn source_maps_are_served_unless_their_owner_says_otherwise() {
        let files = ["a.css.map", "a.js", "a.js.map", "treasure.map"];
        assert_eq!(of(&files, &files), Vec::<String>::new());
        let without = SiteSettings { without_source_maps: true, ..SiteSettings::default() };
        assert_eq!(withheld_of(&files, &files, without, None), ["a.css.map", "a.js.map"]);
    }
}
