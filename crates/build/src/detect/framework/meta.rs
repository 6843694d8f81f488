//! Frameworks that can leave files or a server; their configuration says which.

use super::{DetectError, Outcome, Site, Sourced, Value};

fn server(from: String) -> Result<Outcome, DetectError> {
    Ok(Outcome::Server { from })
}

pub(super) fn next(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let config = site.config(&["next.config.ts", "next.config.js", "next.config.mjs", "next.config.cjs"]);
    // Before `output: 'export'` there was a command for it.
    let exported = site.calls.iter().find(|call| call.program == "next" && call.operand(0) == Some("export"));
    if let Some(call) = exported {
        let named = call.option(&["-o", "--outdir"]).unwrap_or("out").to_owned();
        let output = site.folder("", "out", Some((Value::Text(named), site.script.clone())));
        return Ok(site.static_site(output, false));
    }
    match config {
        Some((file, text)) if text.sets("output", "export") => {
            let from = format!("{file} output");
            let output = match text.value("distDir") {
                Some(value) => site.folder("", "out", Some((value, format!("{file} distDir")))),
                None => Sourced::new("out".to_owned(), from),
            };
            Ok(site.static_site(output, false))
        }
        Some((file, _)) => server(format!("{file} has no output: 'export'")),
        None => server("default of next".into()),
    }
}

pub(super) fn nuxt(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let config = site.config(&["nuxt.config.ts", "nuxt.config.js", "nuxt.config.mjs"]);
    let setting = |word: &str, value: &str| config.as_ref().is_some_and(|(_, text)| text.sets_word(word, value));
    let is_spa = setting("ssr", "false");
    let generates = site.calls.iter().any(|call| {
        matches!(call.program.as_str(), "nuxt" | "nuxi")
            && (call.operand(0) == Some("generate") || call.args.iter().any(|arg| arg == "--prerender"))
    });
    let preset =
        config.as_ref().filter(|(_, text)| text.block("nitro").is_some_and(|nitro| nitro.sets("preset", "static")));
    let from = match preset {
        Some((file, _)) => format!("{file} nitro.preset"),
        None if generates => site.script.clone(),
        None => return server(if site.script.is_empty() { "default of nuxt".into() } else { site.script.clone() }),
    };
    let version = site.package.dependencies.get("nuxt").or_else(|| site.package.dev_dependencies.get("nuxt"));
    let is_two = version.is_some_and(|range| range.trim_start_matches(['^', '~', 'v', '=']).starts_with("2."));
    let output = if is_two { "dist" } else { ".output/public" };
    let spa = match &config {
        Some((file, _)) if is_spa => Sourced::new(true, format!("{file} ssr")),
        _ => site.spa(false),
    };
    Ok(Outcome::Static { output: Sourced::new(output.to_owned(), from), spa })
}

pub(super) fn sveltekit(site: &Site<'_>) -> Result<Outcome, DetectError> {
    const ADAPTER: &str = "@sveltejs/adapter-static";
    let config = site.config(&["svelte.config.js", "svelte.config.mjs", "svelte.config.ts"]);
    match config {
        Some((file, text)) if text.contains(ADAPTER) => {
            let pages = text.value("pages").map(|value| (value, format!("{file} pages")));
            let output = site.folder("", "build", pages);
            let spa = match text.sets("fallback", "index.html") {
                true => Sourced::new(true, format!("{file} fallback")),
                false => site.spa(false),
            };
            Ok(Outcome::Static { output, spa })
        }
        Some((file, _)) => server(format!("{file} has no {ADAPTER}")),
        None => server("default of sveltekit".into()),
    }
}

pub(super) fn astro(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let names = ["astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts", "astro.config.cjs"];
    let config = site.config(&names);
    if let Some((file, text)) = &config
        && (text.sets("output", "server") || text.sets("output", "hybrid"))
    {
        return server(format!("{file} output"));
    }
    let setting = config.and_then(|(file, text)| text.value("outDir").map(|value| (value, format!("{file} outDir"))));
    let output = site.option(&["astro"], &["--outDir"]).unwrap_or_else(|| site.folder("", "dist", setting));
    Ok(site.static_site(output, false))
}

pub(super) fn react_router(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let names = ["react-router.config.ts", "react-router.config.js", "react-router.config.mjs"];
    browser_only(site, &names)
}

pub(super) fn remix(site: &Site<'_>) -> Result<Outcome, DetectError> {
    browser_only(site, super::single_page::VITE_CONFIG)
}

/// React Router and Remix build a single page where `ssr: false` says so.
fn browser_only(site: &Site<'_>, names: &[&str]) -> Result<Outcome, DetectError> {
    match site.config(names) {
        Some((file, text)) if text.sets_word("ssr", "false") => {
            let from = format!("{file} ssr");
            let output = match text.value("buildDirectory") {
                Some(Value::Text(folder)) => {
                    let named = Value::Text(format!("{folder}/client"));
                    site.folder("", "build/client", Some((named, format!("{file} buildDirectory"))))
                }
                Some(value) => site.folder("", "build/client", Some((value, format!("{file} buildDirectory")))),
                None => Sourced::new("build/client".to_owned(), from.clone()),
            };
            Ok(Outcome::Static { output, spa: Sourced::new(true, from) })
        }
        Some((file, _)) => server(format!("{file} has no ssr: false")),
        None => server(format!("default of {}", site.name)),
    }
}
