//! Generators of sites with a file for each page.

use super::{DetectError, Outcome, Site, Value, join, resolve};

pub(super) fn gatsby(site: &Site<'_>) -> Result<Outcome, DetectError> {
    Ok(site.static_site(site.folder("", "public", None), false))
}

pub(super) fn docusaurus(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let output = site.option(&["docusaurus"], &["--out-dir"]).unwrap_or_else(|| site.folder("", "build", None));
    Ok(site.static_site(output, false))
}

pub(super) fn eleventy(site: &Site<'_>) -> Result<Outcome, DetectError> {
    const CONFIG: &[&str] =
        &[".eleventy.js", "eleventy.config.js", "eleventy.config.mjs", "eleventy.config.cjs", "eleventy.config.ts"];
    let setting = site.config(CONFIG).and_then(|(file, text)| {
        let called = text.argument("setOutputDirectory");
        let value = called.or_else(|| text.block("dir").and_then(|dir| dir.value("output")))?;
        Some((value, format!("{file} dir.output")))
    });
    let output = site.option(&["eleventy", "@11ty/eleventy"], &["--output"]);
    let output = output.unwrap_or_else(|| site.folder("", "_site", setting));
    Ok(site.static_site(output, false))
}

pub(super) fn vitepress(site: &Site<'_>) -> Result<Outcome, DetectError> {
    // `vitepress build docs`: the folder is the first operand after the verb.
    let docs = site.call(&["vitepress"]).and_then(|call| call.operand(1)).and_then(|docs| resolve("", docs));
    let docs = docs.or_else(|| site.view.has_folder(&join(site.root, "docs/.vitepress")).then(|| "docs".to_owned()));
    let docs = docs.unwrap_or_default();
    if let Some(output) = site.option(&["vitepress"], &["--outDir"]) {
        return Ok(site.static_site(output, false));
    }
    let names = ["config.ts", "config.mts", "config.js", "config.mjs"];
    let names = names.map(|name| join(&docs, &format!(".vitepress/{name}")));
    let setting = site
        .config(&names.each_ref().map(String::as_str))
        .and_then(|(file, text)| text.value("outDir").map(|value: Value| (value, format!("{file} outDir"))));
    let output = match setting {
        Some(setting) => site.folder(&docs, ".vitepress/dist", Some(setting)),
        None => {
            let mut output = site.folder(&docs, ".vitepress/dist", None);
            if !docs.is_empty() && !site.script.is_empty() {
                output.from = site.script.clone();
            }
            output
        }
    };
    Ok(site.static_site(output, false))
}
