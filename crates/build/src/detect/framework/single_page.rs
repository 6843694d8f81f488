//! Bundlers and frameworks whose build is, as a rule, one page that routes in the browser.

use super::{DetectError, JsText, Outcome, Site, Sourced, Value};

pub(super) const VITE_CONFIG: &[&str] =
    &["vite.config.ts", "vite.config.js", "vite.config.mts", "vite.config.mjs", "vite.config.cts", "vite.config.cjs"];

/// Packages that draw pages in the browser. Without any of them a bundled site is a set of plain pages.
const UI_LIBRARIES: &[&str] =
    &["react-dom", "react", "preact", "vue", "svelte", "solid-js", "lit", "inferno", "mithril", "ember-source"];

/// Packages by which a page without a known framework routes in the browser.
const CLIENT_ROUTERS: &[&str] =
    &["react-router-dom", "vue-router", "@tanstack/react-router", "wouter", "preact-router"];

pub(super) fn vite(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let config = site.config(VITE_CONFIG);
    let base = match config.as_ref().and_then(|(_, text)| text.value("root")) {
        Some(Value::Text(root)) => super::resolve("", &root).unwrap_or_default(),
        _ => String::new(),
    };
    let out_dir = config.as_ref().and_then(|(file, text)| {
        text.block("build")?.value("outDir").map(|value| (value, format!("{file} build.outDir")))
    });
    let output = site.option(&["vite"], &["--outDir"]).unwrap_or_else(|| site.folder(&base, "dist", out_dir));
    let many_pages = config.as_ref().is_some_and(|(_, text)| has_many_pages(text));
    let library = site.package.naming(UI_LIBRARIES);
    let mut spa = site.spa(library.is_some() && !many_pages);
    if let (true, Some(library)) = (spa.value, library) {
        spa.from = library;
    }
    Ok(Outcome::Static { output, spa })
}

/// Whether Vite builds more pages than `index.html`.
fn has_many_pages(config: &JsText) -> bool {
    let bundler = config.block("rollupOptions").or_else(|| config.block("rolldownOptions"));
    let pages = bundler.map_or(0, |block| block.as_str().matches(".html").count());
    pages > 1 || config.sets("appType", "mpa")
}

pub(super) fn create_react_app(site: &Site<'_>) -> Result<Outcome, DetectError> {
    Ok(site.static_site(site.folder("", "build", None), true))
}

pub(super) fn vue_cli(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let config = site.config(&["vue.config.js", "vue.config.cjs", "vue.config.mjs", "vue.config.ts"]);
    let out_dir = config
        .as_ref()
        .and_then(|(file, text)| text.value("outputDir").map(|value| (value, format!("{file} outputDir"))));
    let many_pages = config.as_ref().is_some_and(|(_, text)| text.block("pages").is_some());
    let output = site.option(&["vue-cli-service"], &["--dest"]).unwrap_or_else(|| site.folder("", "dist", out_dir));
    Ok(site.static_site(output, !many_pages))
}

pub(super) fn parcel(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let output = site.option(&["parcel"], &["--dist-dir", "-d", "--out-dir"]);
    let output = output.unwrap_or_else(|| site.folder("", "dist", None));
    let pages = site.call(&["parcel"]).map_or(0, |call| call.args.iter().filter(|arg| arg.ends_with(".html")).count());
    let any_page = site.call(&["parcel"]).is_some_and(|call| call.args.iter().any(|arg| arg.contains("*")));
    let library = site.package.naming(UI_LIBRARIES).is_some();
    Ok(site.static_site(output, library && pages <= 1 && !any_page))
}

/// Whether a project that some script of its own builds routes in the browser.
pub(crate) fn routes_in_browser(package: &super::PackageJson) -> Sourced<bool> {
    match package.naming(CLIENT_ROUTERS) {
        Some(from) => Sourced::new(true, from),
        None => Sourced::new(false, "default"),
    }
}
