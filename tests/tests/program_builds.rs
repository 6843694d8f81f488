//! Builds of projects that run: the document that says what is run, and all files that it needs.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::path::Path;

use skylift_client::client::Side;
use skylift_model::wire::Deployment;
use skylift_model::{Digest, FileEntry, FileMode, Program};
use skylift_tests::{App, Folder, Platform, skip, wait};

/// Blobs are looked at where they lie, which in an object store they do not.
fn blobs_are_files(test: &str) -> bool {
    skip::unless_own_stores(test)
}

/// A program as it was built.
struct Built {
    deployment: Deployment,
    program: Program,
    files: Vec<FileEntry>,
}

impl Built {
    fn file(&self, path: &str) -> &FileEntry {
        let found = self.files.iter().find(|file| file.path.as_str() == path);
        found.unwrap_or_else(|| panic!("{path} is not among {} files", self.files.len()))
    }

    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path.as_str() == path)
    }

    fn paths(&self) -> Vec<&str> {
        self.files.iter().map(|file| file.path.as_str()).collect()
    }
}

/// Deploys a folder and waits for its artifact.
async fn build(app: &App<'_>, folder: &Folder) -> Built {
    let client = app.platform.client();
    let begun = app.begin(folder).await;
    let look = async || {
        let deployment = client.deployment(&begun.id).await.unwrap();
        // Whether what it is can be run is not asked here.
        if deployment.artifact.is_some() {
            return Some(deployment);
        }
        match &deployment.failure {
            Some(failure) => panic!("{failure:?}\n{}", app.log(&begun.id).await),
            None => None,
        }
    };
    let deployment = wait::until_within(wait::PATIENCE * 5, "the artifact", look).await;
    let program = serde_json::from_slice(&blob(app.platform, &deployment.artifact.unwrap())).unwrap();
    let files = client.files(&deployment.id, Side::Built).await.unwrap();
    Built { deployment, program, files }
}

fn blob(platform: &Platform, digest: &Digest) -> Vec<u8> {
    let name = digest.to_string();
    std::fs::read(platform.data().join("blobs/sha256").join(&name[..2]).join(&name)).unwrap()
}

const SERVER: &str = "require('http').createServer((_, answer) => answer.end('hi')).listen(process.env.PORT);\n";

#[tokio::test]
async fn a_plain_node_server_is_its_source_and_a_command() {
    let test = "a_plain_node_server_is_its_source_and_a_command";
    if !skip::unless_node(test) || !blobs_are_files(test) {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("plain").await;
    let folder = Folder::new()
        .file("package.json", r#"{ "scripts": { "start": "node server.js" } }"#)
        .file("server.js", SERVER)
        .file(
            "skylift.toml",
            "[run]\nrelease = \"node migrate.js\"\n\n[health]\npath = \"/up\"\n\n[env]\nGREETING = \"hi\"\n",
        );
    let built = build(&app, &folder).await;
    assert_eq!(built.paths(), ["package.json", "server.js", "skylift.toml"]);
    let program = &built.program;
    assert_eq!((program.web.as_str(), program.folder.as_str()), ("node server.js", ""));
    assert_eq!(program.release.as_deref(), Some("node migrate.js"));
    assert_eq!(program.health_path.as_deref(), Some("/up"));
    assert_eq!(program.path, ["/app/node_modules/.bin"]);
    assert_eq!(program.env.get("GREETING").map(String::as_str), Some("hi"));
    assert!(program.node.as_deref().is_some_and(|version| version.split('.').count() == 3), "{program:?}");
    let log = app.log(&built.deployment.id).await;
    assert!(log.contains("output 3 files"), "{log}");
}

#[tokio::test]
async fn what_npm_installed_is_part_of_the_program_and_what_development_needs_is_not() {
    let test = "what_npm_installed_is_part_of_the_program_and_what_development_needs_is_not";
    if !skip::unless_packages(test) || !blobs_are_files(test) {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("express").await;
    let package =
        r#"{ "main": "server.js", "dependencies": { "express": "^5.0.0" }, "devDependencies": { "is-number": "7" } }"#;
    let folder = Folder::new().file("package.json", package).file("server.js", "require('express')\n");
    let first = build(&app, &folder).await;
    assert_eq!(first.program.web, "node server.js");
    assert!(first.has("node_modules/express/package.json"));
    assert!(!first.has("node_modules/is-number/package.json"), "{:?}", first.paths());

    folder.write("server.js", "require('express')()\n");
    let second = build(&app, &folder).await;
    let log = app.log(&second.deployment.id).await;
    assert!(log.contains("dependencies are unchanged"), "{log}");
    assert_eq!(first.paths(), second.paths());
    assert_ne!(first.file("server.js"), second.file("server.js"));
    assert_eq!(first.file("node_modules/express/package.json"), second.file("node_modules/express/package.json"));
}

#[tokio::test]
async fn a_flask_app_brings_its_virtual_environment() {
    let test = "a_flask_app_brings_its_virtual_environment";
    if !skip::unless_python_packages(test) || !blobs_are_files(test) {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("flask").await;
    let folder = Folder::new()
        .file("requirements.txt", "flask\ngunicorn\n")
        .file("app.py", "from flask import Flask\napp = Flask(__name__)\n");
    let built = build(&app, &folder).await;
    assert_eq!(built.program.web, "gunicorn --bind 0.0.0.0:$PORT app:app");
    assert_eq!(built.program.path.first().map(String::as_str), Some("/app/.venv/bin"));
    assert_eq!(built.program.node, None);
    assert_eq!(built.file(".venv/bin/gunicorn").mode, FileMode::Executable);
    let python = built.file(".venv/bin/python3");
    assert_eq!(python.mode, FileMode::Symlink);
    assert!(Path::new(std::str::from_utf8(&blob(&platform, &python.sha256)).unwrap()).is_absolute());
    let script = String::from_utf8(blob(&platform, &built.file(".venv/bin/gunicorn").sha256)).unwrap();
    assert!(script.starts_with("#!/app/.venv/bin/python"), "{script}");

    // What was compiled holds by its source's hash, unchecked: laid out again, files have other times.
    let compiled = built.files.iter().find(|file| file.path.as_str().contains("/flask/__pycache__/app.")).unwrap();
    assert_eq!(blob(&platform, &compiled.sha256)[4..8], [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_procfile_names_everything_that_runs() {
    let test = "a_procfile_names_everything_that_runs";
    if !blobs_are_files(test) {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("proc").await;
    let procfile = "web: ./serve $PORT\nworker: ./work\nrelease: ./migrate # once\n";
    let folder = Folder::new().file("Procfile", procfile).file("serve", "#!/bin/sh\n").file("work", "#!/bin/sh\n");
    let Built { program, deployment, .. } = build(&app, &folder).await;
    assert_eq!((program.web.as_str(), program.release.as_deref()), ("./serve $PORT", Some("./migrate # once")));
    assert_eq!(program.others.into_iter().collect::<Vec<_>>(), [("worker".to_owned(), "./work".to_owned())]);
    let plan = deployment.plan.unwrap();
    assert_eq!(plan.start.as_deref(), Some("./serve $PORT"));
    assert!(plan.decisions.iter().any(|decision| decision.what == "start" && decision.from == "Procfile web"));
}

#[tokio::test]
async fn a_project_that_does_not_say_how_it_starts_is_refused_with_what_to_do() {
    let platform = Platform::start().await;
    let app = platform.app("unsaid").await;
    for (folder, expected) in [
        (Folder::new().file("Procfile", "worker: ./work\n"), "no process `web`"),
        (Folder::new().file("Procfile", "web: a\nweb: b\n"), "line 2"),
        (Folder::new().file("requirements.txt", "numpy\n"), "how it starts is not known"),
        (Folder::new().file("Dockerfile", "FROM scratch\n"), "image"),
    ] {
        let failure = app.attempt(&folder).await.failure.unwrap();
        assert!(failure.step == "detect" && failure.hint.is_some(), "{failure:?}");
        assert!(failure.message.contains(expected), "{failure:?}");
    }
}

#[tokio::test]
async fn links_stay_links_and_what_no_list_can_hold_is_left_out() {
    let test = "links_stay_links_and_what_no_list_can_hold_is_left_out";
    if !skip::unless_node(test) || !blobs_are_files(test) {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("links").await;
    let script = "const fs = require('fs');
        fs.symlinkSync('/etc/passwd', 'outside'); fs.symlinkSync('../../../../etc', 'up'); fs.symlinkSync('..', 'loop');
        fs.writeFileSync('README', 'a'); fs.writeFileSync('readme', 'b');
        fs.mkdirSync('node_modules/.cache', { recursive: true }); fs.writeFileSync('node_modules/.cache/x', 'x');
        fs.writeFileSync('run.sh', 'x', { mode: 0o755 }); fs.writeFileSync('.env', 'x');
        fs.writeFileSync(Buffer.from('a\\xff', 'latin1'), 'x');
        require('child_process').execFileSync('mkfifo', ['pipe']);";
    let package = r#"{ "scripts": { "build": "node build.js", "start": "node server.js" } }"#;
    let folder = Folder::new().file("package.json", package).file("build.js", script).file("server.js", SERVER);
    let built = build(&app, &folder).await;
    let expected =
        [".env", "README", "build.js", "loop", "outside", "package.json", "readme", "run.sh", "server.js", "up"];
    assert_eq!(built.paths(), expected);
    for (link, target) in [("outside", "/etc/passwd"), ("up", "../../../../etc"), ("loop", "..")] {
        let file = built.file(link);
        assert_eq!((file.mode, blob(&platform, &file.sha256)), (FileMode::Symlink, target.as_bytes().to_vec()));
    }
    assert_eq!(built.file("run.sh").mode, FileMode::Executable);
    let log = app.log(&built.deployment.id).await;
    assert!(log.contains("left out: 3"), "{log}");
}

#[tokio::test]
async fn a_rust_program_is_built_with_this_servers_toolchain() {
    let test = "a_rust_program_is_built_with_this_servers_toolchain";
    if !skip::unless_program(test, "cargo") || !skip::unless_program(test, "cc") || !blobs_are_files(test) {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("rust").await;
    let folder = Folder::new()
        .file("Cargo.toml", "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .file("src/main.rs", "fn main() { println!(\"hi\") }\n");
    let built = build(&app, &folder).await;
    assert_eq!(built.program.web, "./target/release/hello");
    assert_eq!(built.file("target/release/hello").mode, FileMode::Executable);
    assert!(!built.paths().iter().any(|path| path.contains("/deps/")), "{:?}", built.paths());
}
