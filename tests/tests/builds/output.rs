//! What a build may leave as its result (threat 25).

use skylift_model::DeploymentState;
use skylift_tests::{Folder, Platform, projects, site, skip};

async fn refused(platform: &Platform, name: &str, script: &str, expected: &str) {
    let app = platform.app(name).await;
    app.deploy(&site("live")).await;
    let failed = app.attempt(&projects::node(script)).await;
    let failure = failed.failure.unwrap_or_else(|| panic!("{name} is {}", failed.state));
    assert_eq!((failed.state, failure.step.as_str()), (DeploymentState::Failed, "output"), "{name}: {failure:?}");
    assert!(failure.message.contains(expected), "{name}: {failure:?}");
    assert_eq!(app.get("/").await.brief(), "200 live");
}

#[tokio::test]
async fn a_result_that_is_none_is_refused_with_the_reason() {
    if !skip::unless_node("a_result_that_is_none_is_refused_with_the_reason") {
        return;
    }
    let settings = "[build.result]\nfiles_max = 100\nbytes_max = 100000\nfile_bytes_max = 50000\n";
    let platform = Platform::configured(settings).await;
    let fs = "const fs = require('fs');";
    refused(&platform, "none", "", "dist").await;
    refused(&platform, "empty", &format!("{fs} fs.mkdirSync('dist')"), "dist").await;
    refused(&platform, "file", &format!("{fs} fs.writeFileSync('dist', 'x')"), "dist").await;
    refused(&platform, "link", &format!("{fs} fs.symlinkSync('/etc', 'dist')"), "dist").await;
    let within = |then: &str| format!("{fs} fs.mkdirSync('dist'); fs.writeFileSync('dist/index.html', 'x'); {then}");
    refused(&platform, "out", &within("fs.symlinkSync('/etc/passwd', 'dist/passwd')"), "passwd").await;
    refused(&platform, "up", &within("fs.symlinkSync('../../../etc/passwd', 'dist/passwd')"), "passwd").await;
    refused(&platform, "name", &within("fs.writeFileSync(Buffer.from('dist/a\\xff', 'latin1'), 'x')"), "UTF-8").await;
    refused(&platform, "large", &within("fs.writeFileSync('dist/large', 'x'.repeat(60000))"), "large").await;
    let many = "for (let i = 0; i < 200; i++) fs.writeFileSync('dist/' + i, '')";
    refused(&platform, "many", &within(many), "100").await;
}

#[tokio::test]
async fn a_pipe_or_a_socket_in_the_result_harms_nobody() {
    if !skip::unless_node("a_pipe_or_a_socket_in_the_result_harms_nobody") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("pipe").await;
    let script = format!("{} require('child_process').execFileSync('mkfifo', ['dist/pipe']);", projects::page("page"));
    let settled = app.attempt(&projects::node(&script)).await;
    match settled.failure {
        None => assert_eq!(app.get("/pipe").await.status, 404),
        Some(failure) => assert!(failure.step == "output" && failure.message.contains("pipe"), "{failure:?}"),
    }
}

#[tokio::test]
async fn an_empty_page_is_a_page() {
    let platform = Platform::start().await;
    let app = platform.app("blank").await;
    app.deploy(&Folder::new().file("index.html", "")).await;
    let page = app.get("/").await;
    assert_eq!((page.status, page.body.len()), (200, 0));
}
