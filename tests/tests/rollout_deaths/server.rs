//! What is deployed: a server in Node that says its version.

use skylift_tests::archive::Tar;

/// What the release command of a version prints.
pub(crate) fn released(version: &str) -> String {
    format!("released {version}")
}

/// The archive of a version, which says how it is to be rolled out.
pub(crate) fn archive(version: &str, rollout: &str) -> Vec<u8> {
    tar(version, rollout).gzip()
}

/// The same with a release command.
pub(crate) fn archive_with_release(version: &str, rollout: &str) -> Vec<u8> {
    let run = format!("{rollout}\n[run]\nrelease = \"exec node release.js\"\n");
    tar(version, &run).file("release.js", format!("console.log('{}')", released(version))).gzip()
}

fn tar(version: &str, rollout: &str) -> Tar {
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
}
