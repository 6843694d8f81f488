//! What `curl --data-binary` sends.

use skylift_model::wire::Deployment;
use skylift_tests::archive::{Tar, zip};
use skylift_tests::{App, Folder, Platform, Request};

async fn goes_live(app: &App<'_>, archive: Vec<u8>, page: &str) {
    let answer = app.post_archive(archive).await;
    assert_eq!(answer.status, 202, "{}", answer.brief());
    let deployment: Deployment = serde_json::from_value(answer.json()).unwrap();
    app.settled(&deployment.id).await;
    assert_eq!(app.get("/").await.brief(), format!("200 {page}"));
}

#[tokio::test]
async fn every_kind_of_archive_goes_live_whatever_it_is_called() {
    let platform = Platform::start().await;
    let app = platform.app("kinds").await;
    let tar = |text: &str| Tar::new().folder("./").file("./index.html", text).folder("./css/").file("./css/a.css", "");
    goes_live(&app, tar("tar").bytes(), "tar").await;
    goes_live(&app, tar("gzip").gzip(), "gzip").await;
    goes_live(&app, tar("zstd").zstd(), "zstd").await;
    goes_live(&app, zip(&[("index.html", "zip"), ("css/a.css", "")]), "zip").await;
}

#[tokio::test]
async fn the_command_line_sends_an_archive_as_it_is() {
    let platform = Platform::start().await;
    let app = platform.app("file").await;
    let folder = Folder::new().file("site.tar.gz", Tar::new().file("index.html", "packed").gzip());
    let path = folder.path().join("site.tar.gz");
    platform.cli(&["deploy", path.to_str().unwrap(), "--app", "file"]).await.ok();
    assert_eq!(app.get("/").await.brief(), "200 packed");
}

#[tokio::test]
async fn a_folder_of_an_archive_can_be_the_project() {
    let platform = Platform::start().await;
    let app = platform.app("below").await;
    let archive = Tar::new().file("README.md", "").file("web/index.html", "below").gzip();
    let request = Request::post("/v1/apps/below/deployments?dir=web").body(archive);
    let deployment: Deployment = serde_json::from_value(platform.api(request).await.json()).unwrap();
    app.settled(&deployment.id).await;
    assert_eq!(app.get("/").await.brief(), "200 below");
    for dir in ["..", "/etc", "web/../..", "%00"] {
        let target = format!("/v1/apps/below/deployments?dir={dir}");
        platform.api(Request::post(&target).body(Tar::new().gzip())).await.is_error(422, "invalid");
    }
}
