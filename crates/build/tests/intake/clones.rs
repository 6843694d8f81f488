//! Clones of ordinary repositories.

use std::fs;

use skylift_build::frames::RefusalCode;
use skylift_model::FileMode;

use super::repository::{Asked, Repository};

#[test]
fn the_default_branch_comes_with_its_commit() {
    let repository = Repository::new();
    let hash = repository.git(&["rev-parse", "HEAD"]);
    let (commit, files) = repository.clone().unwrap();
    assert_eq!(files["index.html"], (FileMode::File, b"<p>".to_vec()));
    assert_eq!(files.len(), 1);
    assert_eq!(commit.hash, hash);
    assert_eq!(commit.author, "Ada <ada@example.org>");
    assert_eq!(commit.message, "First\n\nWith a body.");
}

#[test]
fn a_branch_a_tag_and_a_commit_can_be_asked_for() {
    let repository = Repository::new();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "light"]);
    repository.git(&["tag", "-a", "heavy", "-m", "annotated"]);
    repository.git(&["checkout", "-q", "-b", "feature/x"]);
    repository.write("index.html", "<h1>");
    let second = repository.commit("Second");
    repository.git(&["checkout", "-q", "main"]);
    repository.write("index.html", "<h2>");
    let third = repository.commit("Third");
    for (reference, hash) in [
        ("main", &third),
        ("feature/x", &second),
        ("refs/heads/feature/x", &second),
        ("light", &first),
        ("heavy", &first),
        (first.as_str(), &first),
        (second.as_str(), &second),
    ] {
        let (commit, files) = repository.clone_at(reference).unwrap_or_else(|error| panic!("{reference}: {error}"));
        assert_eq!(commit.hash, *hash, "{reference}");
        assert_eq!(files["index.html"].1, repository.git(&["show", &format!("{hash}:index.html")]).as_bytes());
    }
    assert_eq!(repository.clone().unwrap().0.hash, third);
}

#[test]
fn what_is_not_there_is_named() {
    let repository = Repository::new();
    let missing = repository.clone_at("gone").unwrap_err();
    assert_eq!(missing.code, RefusalCode::GitRef);
    assert!(missing.message.contains("no branch, tag or commit `gone`"), "{missing}");
    let hash = "0123456789012345678901234567890123456789";
    assert_eq!(repository.clone_at(hash).unwrap_err().code, RefusalCode::GitRef);
    let url = Some(format!("file://{}", repository.beside("nothing").display()));
    let nowhere = repository.clone_asked(Asked { url, ..Asked::default() }).unwrap_err();
    assert_eq!(nowhere.code, RefusalCode::GitNotFound, "{nowhere}");
    let empty = Repository::unborn(&[]).clone().unwrap_err();
    assert_eq!(empty.code, RefusalCode::GitRef, "{empty}");
    assert!(empty.message.contains("is it empty"), "{empty}");
}

#[test]
fn the_hash_of_something_that_is_no_commit_is_refused() {
    let repository = Repository::new();
    let blob = repository.git(&["rev-parse", "HEAD:index.html"]);
    assert!(repository.clone_at(&blob).is_err());
}

#[test]
fn links_and_modes_survive_and_secrets_are_skipped() {
    let repository = Repository::new();
    repository.write("run.sh", "true");
    repository.write(".env", "KEY=secret");
    repository.write("a/b", "x");
    std::os::unix::fs::symlink("../index.html", repository.path().join("a/link")).unwrap();
    repository.git(&["add", "-A"]);
    repository.git(&["update-index", "--chmod=+x", "run.sh"]);
    repository.git(&["commit", "-q", "-m", "more"]);
    let (_, files) = repository.clone().unwrap();
    assert_eq!(files["run.sh"].0, FileMode::Executable);
    assert_eq!(files["a/link"], (FileMode::Symlink, b"../index.html".to_vec()));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a/b", "a/link", "index.html", "run.sh"]);
}

#[test]
fn a_commit_that_a_branch_has_left_behind_is_still_found() {
    let repository = Repository::new();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.write("index.html", "<h1>");
    repository.git(&["commit", "-q", "-a", "--amend", "-m", "Forced"]);
    assert_eq!(repository.clone_at(&first).unwrap().0.hash, first);
}

#[test]
fn a_message_longer_than_any_pipe_does_not_stop_the_clone() {
    let repository = Repository::new();
    fs::write(repository.beside("message"), "x".repeat(300_000)).unwrap();
    repository.git(&["commit", "-q", "--allow-empty", "-F", repository.beside("message").to_str().unwrap()]);
    let (commit, _) = repository.clone().unwrap();
    assert!(commit.message.starts_with("xxx") && commit.message.len() <= 8000);
}

#[test]
fn a_repository_of_another_user_is_read_where_its_folder_is_allowed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a repository to another user");
        return;
    }
    let repository = Repository::new();
    let given = std::process::Command::new("chown").args(["-R", "12345"]).arg(repository.path()).status();
    assert!(given.unwrap().success());
    let mut naive = std::process::Command::new("git");
    naive
        .args(["clone", "-q", &repository.url()])
        .arg(repository.beside("naive"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert!(
        !naive.stderr(std::process::Stdio::null()).status().unwrap().success(),
        "git takes it without being told to"
    );
    assert!(repository.clone().unwrap().1.contains_key("index.html"));
}
