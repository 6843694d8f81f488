//! Real projects with real packages, each from a folder and from a Git remote, again with its dependencies kept, back
//! again, and still there after a restart. Skipped, aloud, where no npm registry answers.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "projects/languages.rs"]
mod languages;

use std::process::Command;

use skylift_client::client::Side;
use skylift_model::source::Source;
use skylift_model::wire::Deployment;
use skylift_tests::git::Remote;
use skylift_tests::projects::real;
use skylift_tests::{App, Folder, Platform, skip};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATED: &str = "public, max-age=0, must-revalidate";

/// A project in three versions, and where its text is served.
struct Project {
    name: &'static str,
    make: fn(&str) -> Folder,
    /// The folder of the source that holds the project.
    dir: Option<&'static str>,
    /// Whether the text stands in the page's script.
    in_script: bool,
    has_packages: bool,
}

impl Project {
    async fn goes_all_the_way(&self) {
        let test = self.name;
        let runs = !self.has_packages || skip::unless_packages(test);
        if !runs || !skip::unless_program(test, "git") {
            return;
        }
        let remote = Remote::start().await;
        let mut platform = Platform::configured(&remote.settings()).await;
        {
            let app = platform.app(self.name).await;
            self.goes_live_from_a_folder(&app).await;
            self.goes_live_from_a_remote(&app, &remote).await;
            app.roll_back().await;
            self.shows(&app, "second text").await;
        }
        platform.restart().await;
        let app = platform.existing(self.name);
        self.shows(&app, "second text").await;
        app.roll_back().await;
        self.shows(&app, "first text").await;
    }

    async fn goes_live_from_a_folder(&self, app: &App<'_>) {
        let folder = (self.make)("first text");
        self.deploy(app, folder.arg()).await;
        self.shows(app, "first text").await;
        let second = (self.make)("second text");
        let deployment = self.deploy(app, second.arg()).await;
        self.shows(app, "second text").await;
        if self.has_packages {
            let log = app.log(&deployment.id).await;
            assert!(log.contains("cached layer"), "dependencies are kept: {log}");
        }
    }

    async fn goes_live_from_a_remote(&self, app: &App<'_>, remote: &Remote) {
        let hash = remote.push(self.name, "main", &(self.make)("third text"), "Say it again").await;
        let deployment = self.deploy(app, &remote.url(self.name)).await;
        self.shows(app, "third text").await;
        let Source::Git { commit: Some(commit), .. } = deployment.source else { panic!("{:?}", deployment.source) };
        assert_eq!((commit.hash, commit.message.trim()), (hash, "Say it again"));
        assert_eq!(commit.author, "Ada Example <ada@example.org>");
    }

    async fn deploy(&self, app: &App<'_>, source: &str) -> Deployment {
        let mut arguments = vec!["deploy", source, "--app", app.name.as_str(), "--json"];
        if let Some(dir) = self.dir {
            arguments.extend(["--dir", dir]);
        }
        serde_json::from_value(app.platform.cli(&arguments).await.ok().json()).unwrap()
    }

    async fn shows(&self, app: &App<'_>, text: &str) {
        let page = app.get("/").await;
        assert_eq!(page.status, 200, "{}", page.brief());
        assert_eq!(page.header("cache-control"), REVALIDATED);
        if !self.in_script {
            assert!(page.text().contains(text), "{text} in {}", page.brief());
            return;
        }
        let html = page.text();
        let script =
            html.split('"').find(|part| part.ends_with(".js")).unwrap_or_else(|| panic!("no script in {html}"));
        let script = app.get(script).await;
        assert!(script.text().contains(text), "{text} in the script");
        assert_eq!(script.header("cache-control"), IMMUTABLE, "its name holds a hash");
    }
}

#[tokio::test]
async fn a_plain_site_goes_all_the_way() {
    let project = Project { name: "plain", make: real::plain, dir: None, in_script: false, has_packages: false };
    project.goes_all_the_way().await;
}

#[tokio::test]
async fn vite_with_react_and_typescript_goes_all_the_way() {
    let project = Project { name: "vite", make: real::vite_react, dir: None, in_script: true, has_packages: true };
    project.goes_all_the_way().await;
}

#[tokio::test]
async fn only_what_the_bundler_named_is_kept_by_browsers_for_ever() {
    if !skip::unless_packages("only_what_the_bundler_named_is_kept_by_browsers_for_ever") {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("kept").await;
    let deployment = app.deploy(&real::vite_react("text")).await;
    let built = platform.client().files(&deployment.id, Side::Built).await.unwrap();
    let mut immutable = 0;
    for file in &built {
        let is_bundled = file.path.as_str().starts_with("assets/") && !file.path.as_str().contains("by-hand");
        let expected = if is_bundled { IMMUTABLE } else { REVALIDATED };
        assert_eq!(app.get(&format!("/{}", file.path)).await.header("cache-control"), expected, "{}", file.path);
        immutable += u32::from(is_bundled);
    }
    assert!(immutable > 0 && built.len() > 3, "{built:?}");

    // A page that was opened before the next deploy still gets the scripts that came with it.
    let next = app.deploy(&real::vite_react("another text")).await;
    let now = platform.client().files(&next.id, Side::Built).await.unwrap();
    let mut gone = built.iter().filter(|file| !now.iter().any(|new| new.path == file.path)).peekable();
    assert!(gone.peek().is_some(), "the script has another name: {now:?}");
    for file in gone {
        assert_eq!(app.get(&format!("/{}", file.path)).await.header("cache-control"), IMMUTABLE, "{}", file.path);
    }
}

#[tokio::test]
async fn an_astro_site_goes_all_the_way() {
    let project = Project { name: "astro", make: real::astro, dir: None, in_script: false, has_packages: true };
    project.goes_all_the_way().await;
}

#[tokio::test]
async fn an_eleventy_site_goes_all_the_way() {
    let project = Project { name: "eleventy", make: real::eleventy, dir: None, in_script: false, has_packages: true };
    project.goes_all_the_way().await;
}

#[tokio::test]
async fn a_folder_of_a_pnpm_workspace_goes_all_the_way() {
    let dir = Some("apps/web");
    let project = Project { name: "pnpm", make: real::pnpm_workspace, dir, in_script: true, has_packages: true };
    project.goes_all_the_way().await;
}

#[tokio::test]
async fn a_pinned_node_is_fetched_once_and_used() {
    if !skip::unless_packages("a_pinned_node_is_fetched_once_and_used") {
        return;
    }
    let own = Command::new("node").arg("--version").output().unwrap().stdout;
    let line = if own.starts_with(b"v22.") { "24" } else { "22" };
    let platform = Platform::start().await;
    let folder = real::pinned_node(&format!("{line}.x"));
    let mut logs = Vec::new();
    for name in ["first", "second"] {
        let app = platform.app(name).await;
        let deployment = app.deploy(&folder).await;
        let page = app.get("/").await.brief();
        assert!(page.starts_with(&format!("200 v{line}.")), "{page}");
        logs.push(app.log(&deployment.id).await);
    }
    assert!(logs.iter().all(|log| log.contains(&format!("{line}.x is pinned"))), "{logs:?}");
    assert!(logs[0].contains("fetching") && !logs[1].contains("fetching"), "{logs:?}");
}
