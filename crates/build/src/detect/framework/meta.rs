//! Frameworks that can leave files or a server; their configuration says which.

use super::{DetectError, Outcome, Site, Sourced, Value};

/// A server, started by a command where that is known.
fn server(site: &Site<'_>, from: String, start: Option<&str>) -> Result<Outcome, DetectError> {
    let start = start.map(|command| Sourced::new(command.to_owned(), format!("default of {}", site.name)));
    Ok(Outcome::Server { from, start })
}

/// The command, where the project names the package that it needs.
fn with<'c>(site: &Site<'_>, package: &str, command: &'c str) -> Option<&'c str> {
    site.package.has(package).then_some(command)
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
        Some((file, _)) => server(site, format!("{file} has no output: 'export'"), Some("next start")),
        None => server(site, "default of next".into(), Some("next start")),
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
    let version = site.package.dependencies.get("nuxt").or_else(|| site.package.dev_dependencies.get("nuxt"));
    let is_two = version.is_some_and(|range| range.trim_start_matches(['^', '~', 'v', '=']).starts_with("2."));
    let from = match preset {
        Some((file, _)) => format!("{file} nitro.preset"),
        None if generates => site.script.clone(),
        None => {
            let from = if site.script.is_empty() { "default of nuxt".into() } else { site.script.clone() };
            return server(site, from, Some(if is_two { "nuxt start" } else { "node .output/server/index.mjs" }));
        }
    };
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
        Some((file, text)) => {
            // Other adapters are for other places.
            let is_default = text.value("out").is_none();
            let start = with(site, "@sveltejs/adapter-node", "node build").filter(|_| is_default);
            server(site, format!("{file} has no {ADAPTER}"), start)
        }
        None => server(site, "default of sveltekit".into(), with(site, "@sveltejs/adapter-node", "node build")),
    }
}

pub(super) fn astro(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let names = ["astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts", "astro.config.cjs"];
    let config = site.config(&names);
    if let Some((file, text)) = &config
        && (text.sets("output", "server") || text.sets("output", "hybrid"))
    {
        let start =
            with(site, "@astrojs/node", "node dist/server/entry.mjs").filter(|_| text.value("outDir").is_none());
        return server(site, format!("{file} output"), start);
    }
    let setting = config.and_then(|(file, text)| text.value("outDir").map(|value| (value, format!("{file} outDir"))));
    let output = site.option(&["astro"], &["--outDir"]).unwrap_or_else(|| site.folder("", "dist", setting));
    Ok(site.static_site(output, false))
}

pub(super) fn react_router(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let names = ["react-router.config.ts", "react-router.config.js", "react-router.config.mjs"];
    let start = with(site, "@react-router/serve", "react-router-serve build/server/index.js");
    browser_only(site, &names, start)
}

pub(super) fn remix(site: &Site<'_>) -> Result<Outcome, DetectError> {
    let start = with(site, "@remix-run/serve", "remix-serve build/server/index.js");
    browser_only(site, super::single_page::VITE_CONFIG, start)
}

/// React Router and Remix build a single page where `ssr: false` says so.
fn browser_only(site: &Site<'_>, names: &[&str], start: Option<&str>) -> Result<Outcome, DetectError> {
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
        Some((file, _)) => server(site, format!("{file} has no ssr: false"), start),
        None => server(site, format!("default of {}", site.name), start),
    }
}
