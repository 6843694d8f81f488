//! What a folder with a `package.json` is: a site that some framework or script builds, a server, or neither.

use super::error::DetectError;
use super::framework::{self, Choice};
use super::lone;
use super::package_json::PackageJson;
use super::script::{self, Call};
use super::view::{View, join};

/// A Node project.
pub(crate) struct NodeApp {
    pub(crate) package: PackageJson,
    pub(crate) shape: Shape,
}

/// What it comes to. `from` is what says so.
pub(crate) enum Shape {
    /// A known framework.
    Framework(Choice),
    /// A program that listens.
    Server { from: String },
    /// A `build` script of the project's own making.
    BuildScript { from: String },
    /// Neither: the `package.json` is there for something else.
    Nothing,
}

/// Programs that only serve files or rebuild them while somebody works on them: a `start` script that runs nothing else
/// makes no server.
const DEVELOPMENT_SERVERS: &[&str] = &[
    "vite",
    "webpack",
    "webpack-dev-server",
    "webpack-cli",
    "rsbuild",
    "rspack",
    "rollup",
    "esbuild",
    "snowpack",
    "parcel",
    "react-scripts",
    "react-app-rewired",
    "craco",
    "ng",
    "vue-cli-service",
    "gatsby",
    "docusaurus",
    "eleventy",
    "vitepress",
    "gulp",
    "grunt",
    "serve",
    "http-server",
    "live-server",
    "lite-server",
    "browser-sync",
    "sirv",
    "servor",
    "five-server",
    "tsc",
    "sass",
    "tailwindcss",
    "postcss",
    "rimraf",
    "open",
    "open-cli",
    "wait-on",
    "echo",
    "concurrently",
];

/// Programs that run a server's own code.
const SERVER_PROGRAMS: &[&str] = &[
    "node",
    "nodemon",
    "tsx",
    "ts-node",
    "ts-node-dev",
    "vite-node",
    "bun",
    "deno",
    "pm2",
    "pm2-runtime",
    "nest",
    "fastify",
    "react-router-serve",
    "remix-serve",
    "forever",
];

const SERVER_PACKAGES: &[&str] = &[
    "express",
    "fastify",
    "koa",
    "@hapi/hapi",
    "@nestjs/core",
    "hono",
    "@hono/node-server",
    "polka",
    "restify",
    "h3",
    "elysia",
    "@feathersjs/feathers",
    "apollo-server",
    "@apollo/server",
    "socket.io",
    "ws",
    "http-proxy",
    "micro",
];

/// Whether a program only serves files or rebuilds them while somebody works on them.
pub(crate) fn is_development(program: &str) -> bool {
    DEVELOPMENT_SERVERS.contains(&program)
}

/// Reads the `package.json` of a folder, where it has one.
pub(crate) fn analyse(view: View<'_>, root: &str) -> Result<Option<NodeApp>, DetectError> {
    let Some(package) = PackageJson::load(&view, root)? else { return Ok(alone(&view, root)) };
    let starts = script::calls(&package.scripts, "start");
    let runs_server = starts.iter().any(|call| {
        // What `react-scripts eject` leaves is a development server.
        let is_ejected = package.has("react-dev-utils") && call.operand(0) == Some("scripts/start.js");
        SERVER_PROGRAMS.contains(&call.program.as_str()) && !is_ejected
    });
    let shape = match framework::choose(view, root, &package, runs_server)? {
        Some(choice) => Shape::Framework(choice),
        None => without_framework(&view, root, &package, &starts),
    };
    Ok(Some(NodeApp { package, shape }))
}

/// A program without a `package.json`.
fn alone(view: &View<'_>, root: &str) -> Option<NodeApp> {
    let from = lone::node(view, root)?;
    Some(NodeApp { package: PackageJson::none_but(&from), shape: Shape::Server { from } })
}

fn without_framework(view: &View<'_>, root: &str, package: &PackageJson, starts: &[Call]) -> Shape {
    if starts.iter().any(|call| !is_development(&call.program)) {
        return Shape::Server { from: package.field("scripts.start") };
    }
    if let Some(from) = package.naming(SERVER_PACKAGES) {
        return Shape::Server { from };
    }
    if package.scripts.contains_key("build") {
        return Shape::BuildScript { from: package.field("scripts.build") };
    }
    // `npm init` writes a `main` into every package; beside a page it means nothing.
    let main = package.main.as_deref().map(|main| main.trim_start_matches("./"));
    let has_page = view.has(&join(root, "index.html"));
    if !has_page && main.is_some_and(|main| view.has(&join(root, main))) {
        return Shape::Server { from: package.field("main") };
    }
    // Without a script, that is what `npm start` runs.
    let server = join(root, "server.js");
    if !has_page && view.has(&server) { Shape::Server { from: server } } else { Shape::Nothing }
}
