//! Settings of `netlify.toml` and `vercel.json` that have no effect here, and what has the same one.

use crate::reject::Reason;
use crate::text::plain;

const ENV: &str = "use `[env]` in skylift.toml, for secrets `skylift env set`";
const ENV_OF_BUILDS: &str =
    "use `[env]` in skylift.toml, for secrets `skylift env set`, and for NODE_VERSION `node` of its `[build]`";
const FUNCTIONS: &str = "functions are not run; a program is, see `[run]` of skylift.toml";
const NOTHING: &str = "nothing here does the same";

/// Why a key at the top of `vercel.json` does not apply; `None` where nothing is lost by it.
pub(crate) fn vercel(key: &str) -> Option<Reason> {
    let instead = match key {
        // What describes a project, or its use elsewhere.
        "$schema" | "version" | "name" | "alias" | "scope" | "public" | "github" | "git" | "framework"
        | "relatedProjects" | "devCommand" => return None,
        // Detection follows them, or says that it does not.
        "buildCommand" | "outputDirectory" => return None,
        "env" | "build" => ENV,
        "builds" => "use `[build] command` in skylift.toml",
        "installCommand" => "use `[build] install` in skylift.toml",
        "functions" => FUNCTIONS,
        "crons" => "nothing is run at set times",
        _ => NOTHING,
    };
    Some(no_effect(key, instead))
}

/// The same for a key at the top of `netlify.toml`.
pub(crate) fn netlify(key: &str) -> Option<Reason> {
    let instead = match key {
        "redirects" | "headers" | "build" => return None,
        // The owner's machine, and what the project was made from.
        "dev" | "template" => return None,
        "context" => "what stands outside of it counts for every deployment",
        "plugins" => "what they do to the build is for `[build] command` in skylift.toml",
        "functions" | "edge_functions" => FUNCTIONS,
        _ => NOTHING,
    };
    Some(no_effect(key, instead))
}

/// The same for a key of `[build]` in `netlify.toml`.
pub(crate) fn netlify_build(key: &str) -> Option<Reason> {
    let instead = match key {
        // Detection follows them, or says that it does not.
        "command" | "publish" => return None,
        "base" => "use `root` in skylift.toml, or `skylift deploy --dir`",
        "environment" => ENV_OF_BUILDS,
        "functions" | "edge_functions" => FUNCTIONS,
        _ => NOTHING,
    };
    Some(no_effect(&format!("build.{key}"), instead))
}

fn no_effect(key: &str, instead: &'static str) -> Reason {
    Reason::NoEffect(plain(key, 64), instead)
}
