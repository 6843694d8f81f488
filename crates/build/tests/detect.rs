//! Detection over one fixture folder for each kind of project, and over sources nobody would write.
//!
//! `fixtures/detect/KIND/` holds the `source`, what is expected of it in `expected.txt`, and in `dir` the folder that the
//! request selects, where it selects one. `UPDATE_EXPECT=1` writes the expectations anew.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helpers fails the test")]

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proptest::prelude::*;
use skylift_build::detect::{self, DetectError, FolderListing, Listing, MapListing, READ_BYTES_MAX};
use skylift_model::FilePath;
use skylift_model::app_json::AppJson;
use skylift_model::plan::Plan;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/detect");
    let mut kinds: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    kinds.sort();
    kinds
}

/// The whole of a fixture's source.
fn source_of(fixture: &Path) -> FolderListing {
    let source = fixture.join("source");
    let mut paths = Vec::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    paths.push(entry.path().strip_prefix(&source).unwrap().to_str().unwrap().parse().unwrap());
                }
            }
        }
    }
    FolderListing::open(&source, paths).unwrap()
}

fn selected_dir(fixture: &Path) -> Option<String> {
    std::fs::read_to_string(fixture.join("dir")).ok().map(|dir| dir.trim_end().to_owned())
}

fn told(listing: &dyn Listing, dir: Option<&str>) -> String {
    match detect::plan(listing, dir) {
        Ok(plan) => {
            let candidates = detect::output_candidates(&plan);
            let tried = if candidates.len() > 1 { format!("\ntried: {}\n", candidates.join(", ")) } else { "".into() };
            format!("{}{tried}", detect::render(&plan))
        }
        Err(error) => format!("error: {error}\nhint: {}\n", error.hint()),
    }
}

#[test]
fn every_kind_of_project_gets_its_plan() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 30, "the fixtures are missing");
    for fixture in fixtures {
        let listing = source_of(&fixture);
        let dir = selected_dir(&fixture);
        expect_file![fixture.join("expected.txt")].assert_eq(&told(&listing, dir.as_deref()));
    }
}

#[test]
fn every_value_of_a_plan_is_explained_by_a_decision() {
    for fixture in fixtures() {
        let listing = source_of(&fixture);
        let Ok(plan) = detect::plan(&listing, selected_dir(&fixture).as_deref()) else { continue };
        let decided = |what: &str| plan.decisions.iter().find(|decision| decision.what == what);
        let values = [
            ("root", Some(&plan.root)),
            ("framework", plan.framework.as_ref()),
            ("package manager version", plan.package_manager_version.as_ref()),
            ("node", plan.node.as_ref()),
            ("install", plan.install.as_ref()),
            ("build", plan.build.as_ref()),
            ("test", plan.test.as_ref()),
            ("start", plan.start.as_ref()),
            ("release", plan.release.as_ref()),
            ("health", plan.health_path.as_ref()),
            ("output", plan.kind.is_static().then_some(&plan.output)),
        ];
        for (what, value) in values {
            let Some(value) = value else { continue };
            let shown = if value.is_empty() { "." } else { value };
            let decision = decided(what).unwrap_or_else(|| panic!("{what} of {}", fixture.display()));
            assert_eq!(decision.value, shown, "{what} of {}", fixture.display());
            assert_ne!(decision.from, "", "{what} of {}", fixture.display());
        }
    }
}

fn listing(files: &[(&str, &str)]) -> MapListing {
    MapListing::new(files.iter().map(|(path, text)| (path.parse().unwrap(), text.as_bytes().to_vec())))
}

#[test]
fn a_file_that_decides_and_is_too_large_is_refused() {
    let padding = " ".repeat(READ_BYTES_MAX);
    let text = format!("{{}}{padding}");
    let error = detect::plan(&listing(&[("package.json", &text)]), None).unwrap_err();
    assert_eq!(error, DetectError::TooLarge { file: "package.json".into() });
    // The control: one that just fits is read.
    let fits = text.get(..READ_BYTES_MAX).unwrap();
    let error = detect::plan(&listing(&[("package.json", fits)]), None).unwrap_err();
    assert_eq!(error, DetectError::NodeSaysNothing { file: "package.json".into() });
}

#[test]
fn a_package_json_that_does_not_say_how_to_start_is_told_what_to_add() {
    let error = detect::plan(&listing(&[("package.json", "{}"), ("lib/index.js", "")]), None).unwrap_err();
    assert!(error.hint().contains("\"start\""), "{error}");
    // The control: what `npm start` would run without a script is run.
    let plan = detect::plan(&listing(&[("package.json", "{}"), ("server.js", "")]), None).unwrap();
    assert_eq!(plan.start.as_deref(), Some("node server.js"));
}

#[test]
fn json_that_nests_without_end_is_refused() {
    let text = "[".repeat(100_000);
    let error = detect::plan(&listing(&[("package.json", &text)]), None).unwrap_err();
    assert!(matches!(error, DetectError::Syntax { .. }), "{error}");
}

#[test]
fn nothing_of_a_source_reaches_a_command_or_the_terminal_raw() {
    let package = r#"{
        "packageManager": "pnpm@1 && touch /tmp/x",
        "engines": { "node": "\u001b]0;owned\u0007 \u202e", "npm": "$(id)" },
        "scripts": { "build": "vite build --outDir '../../../etc'" },
        "devDependencies": { "vite": "1" }
    }"#;
    let plan = detect::plan(&listing(&[("package.json", package), ("index.html", "")]), None).unwrap();
    let commands = [&plan.install, &plan.build].map(|command| command.clone().unwrap());
    assert_eq!(commands, ["npm install --include=dev", "npm run build"]);
    assert_eq!((plan.package_manager_version.as_ref(), plan.node.as_ref()), (None, None));
    assert_eq!(plan.output, "dist");
    let table = detect::render(&plan);
    assert!(table.contains("owned"), "{table}");
    assert!(!table.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{table}");
}

/// The plan of a Procfile beside this `app.json`.
fn with_app_json(app_json: &str) -> Result<Plan, DetectError> {
    detect::plan(&listing(&[("Procfile", "web: ./serve\nworker: ./work\n"), ("app.json", app_json)]), None)
}

#[test]
fn what_app_json_says_is_in_the_plan() {
    let plan = with_app_json(
        r#"{ "env": { "A": "1", "B": { "value": true }, "C": {}, "D": "", "E": { "generator": "secret" }, "F": { "required": false } },
             "formation": { "web": { "quantity": 3 }, "worker": { "quantity": 0 } },
             "healthchecks": { "web": [{ "type": "liveness", "path": "/live", "attempts": 7, "timeout": 600, "wait": 3 }] },
             "scripts": { "dokku": { "predeploy": " make more " } } }"#,
    )
    .unwrap();
    let AppJson { defaults, required, secrets, counts, predeploy } = plan.app_json;
    let value = |name: &str| defaults.get(name).map(String::as_str);
    assert_eq!((defaults.len(), value("A"), value("B")), (2, Some("1"), Some("true")));
    assert_eq!(required.into_iter().collect::<Vec<_>>(), ["C", "D"]);
    assert_eq!(secrets.into_iter().collect::<Vec<_>>(), ["E"]);
    assert_eq!((counts.get("worker"), counts.len(), predeploy.as_deref()), (Some(&0), 1, Some("make more")));
    assert_eq!(plan.scale.map(|scale| (scale.min, scale.max)), Some((3, 10)));
    assert_eq!(plan.health_path.as_deref(), Some("/live"));
    let health = plan.health;
    assert_eq!((health.unhealthy_threshold, health.timeout_seconds, health.interval_seconds), (7, 60, 3));
}

#[test]
fn one_instance_is_what_is_usual_and_none_sleeps() {
    let scale = |text: &str| with_app_json(text).unwrap().scale.map(|scale| (scale.min, scale.max));
    assert_eq!(scale(r#"{ "formation": { "web": { "quantity": 1 } } }"#), None);
    assert_eq!(scale(r#"{ "formation": { "web": { "quantity": 0 } } }"#), Some((0, 10)));
    assert_eq!(scale(r#"{ "formation": { "web": { "quantity": 20 } } }"#), Some((20, 20)));
    assert_eq!(
        scale(
            r#"{ "formation": { "web": { "quantity": 1, "autoscaling": { "min_quantity": 2, "max_quantity": 4 } } } }"#
        ),
        Some((2, 4))
    );
    let backwards = r#"{ "formation": { "web": { "quantity": 5, "autoscaling": { "max_quantity": 4 } } } }"#;
    assert_eq!(scale(backwards), None);
    assert!(detect::render(&with_app_json(backwards).unwrap()).contains("fewer at most than at least"));
}

#[test]
fn an_app_json_that_is_broken_is_told_with_its_place() {
    for (text, place) in [
        ("[]", "line 1, column 0"),
        ("{\n \"env\": [\"A\"] }", "line 2"),
        ("{\n\n \"env\": { \"A\": [] } }", "line 3"),
        ("{ \"formation\": { \"web\": { \"quantity\": -1 } } }", "line 1"),
        ("{ \"formation\": { \"web\": { \"quantity\": 101 } } }", "at most 100"),
        ("{ \"healthchecks\": { \"web\": [{ \"type\": \"deep\" }] } }", "`readiness`"),
    ] {
        let error = with_app_json(text).unwrap_err();
        assert!(matches!(&error, DetectError::Syntax { file, .. } if file == "app.json"), "{error}");
        assert!(error.to_string().contains(place), "{text}: {error}");
        assert!(error.hint().contains("docs/detection.md"));
    }
}

/// Names and texts that detection reads something into, so that chance gets past the first question.
fn any_path() -> impl Strategy<Value = String> {
    let folder = prop_oneof![Just(""), Just("apps/web/"), Just("docs/"), Just("public/"), Just(".vitepress/")];
    let name = prop_oneof![
        prop::sample::select(vec![
            "package.json",
            "index.html",
            "skylift.toml",
            "angular.json",
            "pnpm-workspace.yaml",
            "pnpm-lock.yaml",
            "yarn.lock",
            ".yarnrc.yml",
            ".nvmrc",
            ".tool-versions",
            "vite.config.ts",
            "next.config.js",
            "nuxt.config.ts",
            "svelte.config.js",
            "astro.config.mjs",
            ".eleventy.js",
            "react-router.config.ts",
            "config.mts",
            "Dockerfile",
            "go.mod",
            "Procfile",
            "app.json",
            "requirements.txt",
            "pyproject.toml",
            "app.py",
            "manage.py",
            "Cargo.toml",
            "main.go",
        ])
        .prop_map(str::to_owned),
        "[a-z.]{1,8}",
    ];
    (folder, name).prop_map(|(folder, name)| format!("{folder}{name}"))
}

fn any_package() -> impl Strategy<Value = String> {
    let frameworks =
        ["vite", "next", "nuxt", "astro", "@angular/core", "vitepress", "gatsby", "react", "express", "parcel"];
    let names = prop::collection::vec(prop::sample::select(frameworks.to_vec()), 0..4);
    let script =
        "((npm run|pnpm|yarn|run-s|npx|vite|next|nuxt|vitepress|ng|node|--outDir|&&|;|build|start|'|=) ?){0,8}";
    let any = "\\PC{0,20}";
    (names, script, script, any, any).prop_map(|(names, build, start, manager, node)| {
        let packages: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), "1".into())).collect();
        serde_json::json!({
            "dependencies": packages,
            "scripts": { "build": build, "start": start },
            "packageManager": manager,
            "workspaces": [node],
            "engines": { "node": node },
        })
        .to_string()
    })
}

fn any_app_json() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "null",
        "\"x\"",
        "[]",
        "{}",
        "true",
        r#"{"value":"x"}"#,
        r#"[{"path":"/x"}]"#,
    ]);
    let key = prop::sample::select(vec!["env", "formation", "healthchecks", "scripts", "cron", "web", "A", "\u{202e}"]);
    let pairs = prop::collection::vec((key.clone(), value), 0..3).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}", pairs.join(", "))
    });
    (key, pairs).prop_map(|(key, inner)| format!("{{\"{key}\": {inner}}}"))
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let config =
        "((outDir|output|root|ssr|dir|build|pages|nitro|preset|outputPath|projects)?[:{}'\"`, ./*\\\\\n]{0,3}){0,12}";
    prop_oneof![
        3 => any_package().prop_map(String::into_bytes),
        2 => config.prop_map(String::into_bytes),
        1 => "\\PC{0,60}".prop_map(String::into_bytes),
        1 => any_app_json().prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn any_source_gets_the_same_answer_twice_and_never_a_panic(
        files in prop::collection::vec((any_path(), any_text()), 0..8),
        dir in prop::option::of("(apps/web|docs|\\PC{0,8})"),
    ) {
        let files = files.into_iter().filter_map(|(path, text)| Some((path.parse::<FilePath>().ok()?, text)));
        let listing = MapListing::new(files);
        let first = told(&listing, dir.as_deref());
        prop_assert_eq!(&first, &told(&listing, dir.as_deref()));
        if let Ok(plan) = detect::plan(&listing, dir.as_deref()) {
            for folder in detect::output_candidates(&plan).iter().chain([&plan.root, &plan.install_root]) {
                prop_assert!(folder.is_empty() || folder.parse::<FilePath>().is_ok(), "{}", folder);
            }
        }
    }
}
