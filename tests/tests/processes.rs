//! What an app runs beside what answers its requests: release commands, workers, one-off commands; and what its owner does
//! with all of them.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "processes/app_json.rs"]
mod app_json;
#[path = "processes/crashes.rs"]
mod crashes;
#[path = "processes/owner.rs"]
mod owner;
#[path = "processes/release.rs"]
mod release;
#[path = "processes/truths.rs"]
mod truths;
#[path = "processes/workers.rs"]
mod workers;

use skylift_model::wire::Instance;
use skylift_tests::{App, Folder};

/// A server in Node that says `version` and prints its variable `GREETING`; with a Procfile that has these further lines.
fn server(version: &str, procfile: &str) -> Folder {
    let program = "
        const http = require('http');
        const server = http.createServer((request, response) => {
            if (request.url === '/die') process.exit(3);
            response.end('VERSION');
        });
        server.listen(process.env.PORT, process.env.HOST, () => console.log('listening'));
        process.on('SIGTERM', () => server.close(() => process.exit(0)));
    ";
    Folder::new()
        .file("package.json", r#"{"name":"server"}"#)
        .file("server.js", program.replace("VERSION", version))
        .file("Procfile", format!("web: node server.js\n{procfile}\n"))
}

async fn instances(app: &App<'_>) -> Vec<Instance> {
    app.platform.client().instances(&app.name).await.unwrap().instances
}
