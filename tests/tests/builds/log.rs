//! What a build prints is text, and tells no secrets (threat 21).

use skylift_tests::{Platform, projects, skip};

#[tokio::test]
async fn what_a_build_prints_cannot_harm_a_terminal_or_a_page() {
    if !skip::unless_node("what_a_build_prints_cannot_harm_a_terminal_or_a_page") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("ansi").await;
    let print = r#"
        process.stdout.write('\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b]52;c;eHg=\x07end\n');
        process.stdout.write('<script>alert(1)</script> ]]> \u202Eturned\u202C nul\0here\n');
        process.stdout.write(Buffer.from([0x62, 0x61, 0x64, 0xff, 0xfe, 0x0a]));
        process.stdout.write('progress 1%\rprogress 100%\n');
        process.stdout.write('x'.repeat(1 << 20) + '\n');
        console.log('the last line');
    "#;
    let deployment = app.deploy(&projects::node(&format!("{print} {}", projects::page("ok")))).await;
    let lines = platform.client().log_lines(&deployment.id, None).await.unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert!(texts.contains(&"red  link end"), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("<script>alert(1)</script> ]]> turned nulhere")), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("bad") && text.contains('\u{fffd}')), "{texts:?}");
    assert!(texts.contains(&"the last line"), "{texts:?}");
    assert!(texts.iter().all(|text| text.len() < 17 << 10), "long lines are cut");
    let harmful = |c: char| (c.is_control() && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!texts.iter().any(|text| text.contains(harmful)), "{texts:?}");
    let shown = platform.cli(&["logs", "ansi"]).await.ok().stdout;
    assert!(!shown.contains('\x1b') && shown.contains("the last line"));
}

#[tokio::test]
async fn a_build_sees_its_variables_and_the_log_does_not() {
    if !skip::unless_node("a_build_sees_its_variables_and_the_log_does_not") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("masked").await;
    app.set_env("API_KEY", "hunter2-hunter2").await;
    let print = "
        const key = process.env.API_KEY;
        console.log('the key is ' + key + '!');
        console.error(key);
        console.log('coloured: ' + key.slice(0, 5) + '\\x1b[1m' + key.slice(5));
        process.stdout.write('in two parts: ' + key.slice(0, 7));
        setTimeout(() => { console.log(key.slice(7)); }, 100);
        const fs = require('fs'); fs.mkdirSync('dist'); fs.writeFileSync('dist/index.html', key);";
    let deployment = app.deploy(&projects::node(print)).await;
    assert_eq!(app.get("/").await.brief(), "200 hunter2-hunter2", "control: the build had it");
    let log = app.log(&deployment.id).await;
    assert!(log.contains("the key is ••••••!"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    let shown = platform.cli(&["env", "ls", "masked", "--json"]).await.ok().stdout;
    assert!(shown.contains("API_KEY") && !shown.contains("hunter2"), "{shown}");
    assert!(!platform.log().contains("hunter2"), "nor the platform's own log");
}

#[tokio::test]
async fn what_is_not_of_the_build_is_not_in_its_environment() {
    if !skip::unless_node("what_is_not_of_the_build_is_not_in_its_environment") {
        return;
    }
    let mut platform = Platform::start().await;
    platform.set_environment("NPM_TOKEN", "of-the-platform");
    platform.set_environment("AWS_SECRET_ACCESS_KEY", "of-the-platform");
    platform.restart().await;
    let app = platform.app("clean").await;
    let list = "const fs = require('fs'); fs.mkdirSync('dist');
        fs.writeFileSync('dist/index.html', JSON.stringify(process.env));";
    app.deploy(&projects::node(list)).await;
    let seen = app.get("/").await.json();
    assert_eq!(seen["CI"], serde_json::json!("true"));
    assert_eq!(seen["SKYLIFT_APP"], serde_json::json!("clean"));
    assert!(!seen.to_string().contains("of-the-platform"), "{seen}");
}
