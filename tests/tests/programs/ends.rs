//! What those who watch and ask meet when the platform or a version ends.

use tokio::io::{AsyncBufReadExt, BufReader};

use super::*;

/// A server in Node that says in its log that it is up and that it is asked, answers a moment later, and ends as soon as it is told to.
fn abrupt(version: &str) -> Folder {
    let program = r#"
        require('http').createServer((request, response) => {
            if (request.url !== '/late') return response.end('VERSION');
            console.log('asked');
            setTimeout(() => response.end('late'), 600);
        }).listen(process.env.PORT, () => console.log('VERSION is up'));
        process.on('SIGTERM', () => process.exit(0));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program.replace("VERSION", version))
}

#[tokio::test]
async fn what_the_edge_has_under_way_is_answered_when_the_platform_is_told_to_stop() {
    let mut platform = Platform::start().await;
    let app = platform.app("shop").await;
    let live = app.deploy(&abrupt("one")).await;
    let late = tokio::spawn(Request::get("/late").host("shop.localhost").send(platform.address()));
    app.logs_line(&live.id, "asked").await;
    assert!(platform.stop().await.success());
    assert_eq!(late.await.unwrap().brief(), "200 late");
}

#[tokio::test]
async fn whoever_follows_an_apps_log_sees_the_next_version_too() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&abrupt("one")).await;
    let mut following = platform.begin_cli(&["logs", "shop", "--follow"]);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    for version in ["one", "two"] {
        if version == "two" {
            app.deploy(&abrupt(version)).await;
        }
        let up = format!("{version} is up");
        let seen = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(&up) {
                    return;
                }
            }
            panic!("the log ended before {up}");
        };
        tokio::time::timeout(wait::PATIENCE, seen).await.expect("the line");
    }
    // Files run nowhere: what follows them ends.
    app.deploy(&skylift_tests::folder::site("a page")).await;
    let ended = tokio::time::timeout(wait::PATIENCE, following.wait()).await.expect("it ends");
    assert!(ended.unwrap().success());
}
