//! Rules of an app's own: they narrow and widen what is public, at once, and open nothing that is private.

use skylift_model::DeploymentState;
use skylift_tests::folder::site;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::skip;
use skylift_tests::wait;

use super::program::{Service, connects, server};

#[tokio::test]
async fn rules_out_hold_at_once_and_what_met_them_is_counted() {
    if !skip::unless_one_network("rules for what is on this machine") {
        return;
    }
    let service = Service::start().await;
    // What the owner opens to every app stands in for the internet, which a test does not reach.
    let platform = Platform::configured(&format!("[instances]\nallow = [\"127.0.0.1:{}\"]\n", service.port)).await;
    let app = platform.app("shop").await;
    app.deploy(&server("[[net.out]]\nto = \"*.blocked.example\"\ndeny = true\n")).await;
    let port = service.port;
    assert!(connects(&app, "127.0.0.1", port).await.contains("reached"));

    let ran = platform.cli(&["net", "shop", "deny", "out", "127.0.0.0/8"]).await.ok();
    assert!(ran.stdout.contains("deny 127.0.0.0/8"), "{}", ran.stdout);
    wait::until("the rule to hold", async || {
        (!connects(&app, "127.0.0.1", port).await.contains("reached")).then_some(())
    })
    .await;
    let came = service.came();
    for host in ["127.0.0.1", "::ffff:127.0.0.1", "2130706433", "0x7f.1"] {
        let said = connects(&app, host, port).await;
        assert!(!said.contains("reached"), "{host}: {said}");
    }
    assert_eq!(service.came(), came);
    let shown = platform.cli(&["net", "shop"]).await.ok().stdout;
    let line = |part: &str| shown.lines().find(|line| line.contains(part)).unwrap_or_default().to_owned();
    assert!(line("deny *.blocked.example").contains("skylift.toml"), "{shown}");
    assert!(line(&format!("allow 127.0.0.1:{port}")).contains("the platform's owner"), "{shown}");
    let counted = line(&format!("127.0.0.1:{port}  "));
    assert!(line("a rule of the app denies 127.0.0.0/8").starts_with(&format!("127.0.0.1:{port}")), "{shown}{counted}");
    let net = platform.client().net(&app.name).await.unwrap();
    let seen = net.seen.iter().find(|seen| seen.to == format!("127.0.0.1:{port}")).unwrap();
    assert!(seen.passed >= 1 && seen.dropped >= 1, "{seen:?}");

    platform.cli(&["net", "shop", "rm", "out", "1"]).await.ok();
    wait::until("the rule to be gone", async || {
        connects(&app, "127.0.0.1", port).await.contains("reached").then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_rule_of_an_app_opens_what_is_private() {
    if !skip::unless_one_network("rules for what is on this machine") {
        return;
    }
    let service = Service::start().await;
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let port = service.port;
    let refused = app.attempt(&server("[[net.out]]\nto = \"127.0.0.0/8\"\n")).await;
    assert_eq!(refused.state, DeploymentState::Failed);
    assert!(refused.failure.unwrap().message.contains("is a loopback address, which no rule of an app opens"));
    app.deploy(&server(&format!("[[net.out]]\nports = [{port}]\n"))).await;
    let refused = platform.cli(&["net", "shop", "allow", "out", "127.0.0.1", "--port", &port.to_string()]).await;
    assert!(refused.exit == 5 && refused.stderr.contains("[[service]]"), "{}", refused.stderr);
    for (to, why) in [("localhost", "loopback"), ("10.0.0.0/8", "a private address"), ("other.localhost", "[[link]]")] {
        let rules = serde_json::json!({ "out": [{ "to": "*" }, { "to": to }] });
        let refused = app.api("PUT", "/net", Some(&rules)).await;
        assert!(refused.status == 422 && refused.text().contains(why), "{to}: {}", refused.brief());
    }
    assert!(platform.client().net(&app.name).await.unwrap().set.is_empty(), "nothing of them is set");
    for host in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "0.0.0.0", "169.254.169.254", "10.0.0.1"] {
        let said = connects(&app, host, port).await;
        assert!(!said.contains("reached"), "{host}: {said}");
    }
    assert_eq!(service.came(), 0);
    let net = platform.client().net(&app.name).await.unwrap();
    let seen = net.seen.iter().find(|seen| seen.to == format!("127.0.0.1:{port}")).unwrap();
    let reason = seen.reason.clone().unwrap_or_default();
    assert!(reason.contains("loopback"), "the port is open, and the address is what refuses it: {reason}");
}

#[tokio::test]
async fn rules_in_say_whose_requests_are_taken_of_apps_and_of_sites() {
    if !skip::unless_one_network("who is asked through a proxy that the test trusts") {
        return;
    }
    let platform = Platform::configured("[edge]\ntrusted_proxies = [\"127.0.0.0/8\"]\n").await;
    let from = async |host: &str, client: &str| {
        platform.send(Request::get("/").host(host).header("x-forwarded-for", client)).await.status
    };
    let plain = platform.app("plain").await;
    plain.deploy(&site("hello")).await;
    let runs = platform.app("runs").await;
    let live =
        runs.deploy(&server("[[net.in]]\nfrom = \"203.0.113.0/24\"\n\n[[net.in]]\nfrom = \"2001:db8::/32\"\n")).await;
    for host in ["runs.localhost", &format!("{}.localhost", live.id)] {
        for (client, status) in [
            ("203.0.113.7", 200),
            ("198.51.100.7", 403),
            ("2001:db8::7", 200),
            ("2001:db9::7", 403),
            ("::ffff:203.0.113.7", 200),
        ] {
            assert_eq!(from(host, client).await, status, "{host} {client}");
        }
    }
    assert_eq!(from("plain.localhost", "198.51.100.7").await, 200, "the control: without a rule");
    platform.cli(&["net", "plain", "deny", "in", "198.51.100.7"]).await.ok();
    wait::until("the rule to hold", async || (from("plain.localhost", "198.51.100.7").await == 403).then_some(()))
        .await;
    assert_eq!(from("plain.localhost", "198.51.100.8").await, 200);
    platform.cli(&["net", "plain", "rm", "in", "1"]).await.ok();
    wait::until("the rule to be gone", async || (from("plain.localhost", "198.51.100.7").await == 200).then_some(()))
        .await;
}
