//! What holds more than it may.

use skylift_model::InstanceState;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::wait;

use super::keeper::{keeper, says};

#[tokio::test]
async fn an_app_whose_volume_holds_too_much_is_ended_with_that_reason_and_its_next_instance_can_make_room() {
    let platform = Platform::configured("[instances]\nvolume_bytes = 8388608\n").await;
    let app = platform.app("shop").await;
    app.deploy(&keeper("one")).await;
    platform.cli(&["volume", "create", "files", "--app", "shop", "--path", "/data"]).await.ok();
    says(&app, "/fill?mib=4").await;
    assert_eq!(says(&app, "/add?word=kept").await, "added", "the control: it is not full");
    // Its end may come before its answer. No more than a quarter above the limit, so that the next one is started.
    let _ = app.send(Request::post("/fill?mib=9")).await;
    let ended = wait::until("its end", async || {
        let all = platform.client().instances(&app.name).await.unwrap().instances;
        all.into_iter().find(|one| one.state == InstanceState::Ended && one.reason.is_some())
    });
    assert_eq!(ended.await.reason.as_deref(), Some("killed: volume limit 8 MiB"));
    let next =
        wait::until("another instance", async || Some(app.get("/list").await).filter(|answer| answer.status == 200));
    assert_eq!(next.await.text(), "kept ");
    assert_eq!(says(&app, "/empty").await, "emptied");
    says(&app, "/fill?mib=4").await;
    assert_eq!(says(&app, "/list").await, "kept ");
    assert!(platform.cli(&["ps", "shop"]).await.ok().stdout.contains("killed: volume limit 8 MiB"));
}
