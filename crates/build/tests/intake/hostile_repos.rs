//! Repositories that try to run something where they are cloned, or to bring out what is not theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use skylift_build::frames::RefusalCode;

use super::repository::{Asked, Repository};

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Clones as somebody does who trusts everything: with these variables, and submodules.
fn naive_clone(repository: &Repository, env: &[(String, String)]) {
    let into = repository.beside("naive");
    let mut command = Command::new("git");
    command.args(["-c", "protocol.file.allow=always", "clone", "-q", "--recurse-submodules"]);
    command.arg(repository.path()).arg(into).envs(env.iter().cloned());
    command.stderr(std::process::Stdio::null()).status().unwrap();
}

fn check_settings_of_the_outside_are_dropped(repository: &Repository, env: Vec<(String, String)>) {
    naive_clone(repository, &env);
    assert!(
        fs::remove_file(repository.canary()).is_ok(),
        "the attack does not work even where nothing is done about it"
    );
    repository.clone_asked(Asked { env, ..Asked::default() }).unwrap();
    assert!(!repository.canary().exists());
}

fn variable(name: &str, value: impl AsRef<Path>) -> (String, String) {
    (name.to_owned(), value.as_ref().display().to_string())
}

#[test]
fn hooks_of_a_template_do_not_run() {
    let repository = Repository::new();
    let template = repository.beside("template");
    script(&template.join("hooks/post-checkout"), &repository.attack());
    check_settings_of_the_outside_are_dropped(&repository, vec![variable("GIT_TEMPLATE_DIR", template)]);
}

#[test]
fn hooks_of_the_user_s_settings_do_not_run() {
    let repository = Repository::new();
    script(&repository.beside("hooks/post-checkout"), &repository.attack());
    let config = repository.beside("config");
    fs::write(&config, format!("[core]\n\thooksPath = {}\n", repository.beside("hooks").display())).unwrap();
    check_settings_of_the_outside_are_dropped(&repository, vec![variable("GIT_CONFIG_GLOBAL", config)]);
}

#[test]
fn filters_that_attributes_name_do_not_run() {
    let repository = Repository::new();
    repository.write(".gitattributes", "* filter=evil\n*.bin filter=lfs diff=lfs merge=lfs\n");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    repository.write("a.bin", pointer);
    repository.commit("filters");
    script(&repository.beside("evil"), &format!("{}cat\n", repository.attack()));
    let config = repository.beside("config");
    fs::write(&config, format!("[filter \"evil\"]\n\tsmudge = {}\n", repository.beside("evil").display())).unwrap();
    check_settings_of_the_outside_are_dropped(&repository, vec![variable("GIT_CONFIG_GLOBAL", config)]);
    assert_eq!(repository.clone().unwrap().1["a.bin"].1, pointer.as_bytes(), "pointers stay what they are");
}

#[test]
fn hooks_and_settings_in_the_repository_itself_do_not_run() {
    let repository = Repository::new();
    for hook in ["post-checkout", "pre-receive", "update", "post-upload", "reference-transaction", "fsmonitor"] {
        script(&repository.path().join(".git/hooks").join(hook), &repository.attack());
    }
    script(&repository.beside("evil"), &repository.attack());
    for setting in
        ["core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook", "core.alternateRefsCommand", "core.pager"]
    {
        repository.git(&["config", setting, repository.beside("evil").to_str().unwrap()]);
    }
    repository.clone().unwrap();
    assert!(!repository.canary().exists());
}

#[test]
fn submodules_with_options_for_addresses_are_refused() {
    // CVE-2018-17456, and what it grew into.
    for (url, path) in
        [("-u./payload", "sub"), ("--upload-pack=./payload", "sub"), ("../x\n-u", "sub"), ("ext::./payload", "sub")]
    {
        let repository = Repository::new();
        script(&repository.path().join("payload"), &repository.attack());
        let modules = format!("[submodule \"sub\"]\n\tpath = {path}\n\turl = \"{}\"\n", url.replace('\n', "\\n"));
        repository.write(".gitmodules", &modules);
        let head = repository.git(&["rev-parse", "HEAD"]);
        repository.git(&["add", "-A"]);
        repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},sub")]);
        repository.git(&["commit", "-q", "-m", "submodule"]);
        let result = repository.clone();
        assert!(!repository.canary().exists(), "{url}");
        if url.starts_with('-') {
            let refusal = result.unwrap_err();
            assert_eq!(refusal.code, RefusalCode::GitRefused, "{refusal}");
        }
    }
}

#[test]
fn submodules_whose_names_and_paths_lead_elsewhere_do_nothing() {
    // CVE-2018-11235 (names), CVE-2019-1387, CVE-2024-32002 (a path through a link), CVE-2025-48384 (a path with CR).
    for (name, path) in [("../../hooks", "sub"), ("sub", "A/modules/x"), ("sub", "sub\r"), ("sub", "../outside")] {
        let repository = Repository::new();
        let head = repository.git(&["rev-parse", "HEAD"]);
        let modules = format!("[submodule \"{name}\"]\n\tpath = \"{path}\"\n\turl = ./payload\n");
        let modules = repository.blob(&modules);
        let link = repository.blob(".git");
        let hook = repository.blob(&repository.attack());
        let hooks = repository.git_with(&["mktree"], &format!("100755 blob {hook}\tpost-checkout\n"));
        let lines = format!(
            "100644 blob {modules}\t.gitmodules\n160000 commit {head}\tsub\n040000 tree {hooks}\tA\n120000 blob {link}\ta\n"
        );
        repository.commit_tree(&lines);
        let result = repository.clone();
        assert!(!repository.canary().exists(), "{name} {path:?}");
        // `a` and `A/…` are one place on some systems, which is what the attack wants.
        assert!(result.is_err(), "{name} {path:?}");
    }
}

#[test]
fn a_tree_that_holds_git_s_own_folder_is_refused() {
    for name in [".git", ".GIT", "git~1", ".g\u{200c}it"] {
        let repository = Repository::new();
        let hook = repository.blob(&repository.attack());
        let hooks = repository.git_with(&["mktree"], &format!("100755 blob {hook}\tpost-checkout\n"));
        let inner = repository.git_with(&["mktree"], &format!("040000 tree {hooks}\thooks\n"));
        repository.commit_tree(&format!("040000 tree {inner}\t{name}\n"));
        assert!(repository.clone().is_err(), "{name}");
        assert!(!repository.canary().exists(), "{name}");
    }
}

#[test]
fn a_link_in_the_place_of_git_s_own_files_is_refused() {
    for name in [".git", ".GIT", "git~1", ".gitmodules"] {
        let repository = Repository::new();
        let target = repository.blob("elsewhere");
        repository.commit_tree(&format!("120000 blob {target}\t{name}\n"));
        let refusal = repository.clone().map(|(_, files)| files).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::GitRefused, "{name}: {refusal}");
    }
    // The control: under another name the same link is taken.
    let repository = Repository::new();
    let target = repository.blob("elsewhere");
    repository.commit_tree(&format!("120000 blob {target}\tlink\n"));
    assert!(repository.clone().unwrap().1.contains_key("link"));
}

#[test]
fn a_filtered_file_through_a_link_to_the_hooks_runs_nothing() {
    // CVE-2021-21300: files that a filter delays are written after a link has taken the place of their folder.
    let repository = Repository::new();
    let attributes = repository.blob("*/post-checkout filter=lfs\n");
    let hook = repository.blob(&repository.attack());
    let folder = repository.git_with(&["mktree"], &format!("100755 blob {hook}\tpost-checkout\n"));
    let link = repository.blob(".git/hooks");
    repository.commit_tree(&format!(
        "100644 blob {attributes}\t.gitattributes\n040000 tree {folder}\tA\n120000 blob {link}\ta\n"
    ));
    let config = repository.beside("config");
    script(&repository.beside("evil"), &repository.attack());
    fs::write(&config, format!("[filter \"lfs\"]\n\tprocess = {}\n", repository.beside("evil").display())).unwrap();
    naive_clone(&repository, &[variable("GIT_CONFIG_GLOBAL", &config)]);
    assert!(fs::remove_file(repository.canary()).is_ok(), "the filter runs where nothing is done about it");
    let asked = Asked { env: vec![variable("GIT_CONFIG_GLOBAL", config)], ..Asked::default() };
    let refusal = repository.clone_asked(asked).map(|(_, files)| files).unwrap_err();
    assert!(!repository.canary().exists());
    assert_eq!(refusal.code, RefusalCode::InvalidTree, "`a` and `A` are one name on some systems: {refusal}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["..", "a\\..\\b", "a\tb"] {
        let repository = Repository::new();
        let file = repository.blob("x");
        let tree = if name == ".." {
            let inner = repository.git_with(&["mktree"], &format!("100644 blob {file}\tescaped\n"));
            format!("040000 tree {inner}\t..\n")
        } else {
            format!("100644 blob {file}\t\"{}\"\n", name.replace('\\', "\\\\").replace('\t', "\\t"))
        };
        repository.commit_tree(&tree);
        let refusal = repository.clone().map(|(_, files)| files).unwrap_err();
        assert!(matches!(refusal.code, RefusalCode::GitRefused | RefusalCode::InvalidTree), "{name:?}: {refusal}");
        assert!(!repository.beside("escaped").exists());
    }
}

#[test]
fn links_that_lead_outside_are_refused_by_name() {
    for target in ["/etc/passwd", "../../canary", "a/../../../x"] {
        let repository = Repository::new();
        std::os::unix::fs::symlink(target, repository.path().join("link")).unwrap();
        repository.commit("link");
        let refusal = repository.clone().map(|(_, files)| files).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidTree);
        assert!(refusal.message.starts_with("`link`: "), "{refusal}");
    }
}

#[test]
fn a_local_repository_brings_out_nothing_that_lies_behind_links_in_it() {
    // CVE-2022-39253: a clone that copies a repository's files follows links among its objects.
    let repository = Repository::new();
    let secret = repository.beside("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "canary").unwrap();
    std::os::unix::fs::symlink(&secret, repository.path().join(".git/objects/zz")).unwrap();
    let naive = repository.beside("copied");
    let copied = Command::new("cp").arg("-rL").args([repository.path(), naive.clone()]).status().unwrap();
    assert!(copied.success() && naive.join(".git/objects/zz/key").exists(), "a copy would bring it out");
    let (_, files) = repository.clone().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["index.html"]);
}
