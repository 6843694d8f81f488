//! What is deployed: a server in Node that says its version.

use skylift_tests::archive::Tar;

/// The archive of a version, which says how it is to be rolled out.
pub(crate) fn archive(version: &str, rollout: &str) -> Vec<u8> {
    let program = "
        const http = require('http');
        const server = http.createServer((request, response) => {
            request.resume();
            request.on('end', () => response.end('VERSION'));
        });
        server.listen(process.env.PORT, process.env.HOST);
        process.on('SIGTERM', () => server.close(() => process.exit(0)));
    ";
    Tar::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"exec node server.js"}}"#)
        .file("server.js", program.replace("VERSION", version))
        .file("skylift.toml", format!("[rollout]\n{rollout}"))
        .gzip()
}
