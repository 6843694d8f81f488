//! Clones of ordinary repositories.

use std::fs;

use skylift_build::frames::{IntakeLimits, RefusalCode};
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
    let gone = repository.clone_at(hash).unwrap_err();
    assert!(gone.message.contains(&format!("the commit `{hash}` is gone")), "{gone}");
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

#[test]
fn a_repository_that_names_its_objects_by_sha_256_is_cloned_like_any_other() {
    let repository = Repository::unborn(&["--object-format=sha256"]);
    repository.write("index.html", "<p>");
    let hash = repository.commit("First");
    assert_eq!(hash.len(), 64);
    repository.git(&["branch", "next"]);
    let (commit, files) = repository.clone().unwrap();
    assert_eq!((commit.hash.as_str(), files["index.html"].1.as_slice()), (hash.as_str(), &b"<p>"[..]));
    for reference in ["main", "next", hash.as_str()] {
        assert_eq!(repository.clone_at(reference).unwrap().0.hash, hash, "{reference}");
    }
    assert_eq!(repository.clone_at("gone").unwrap_err().code, RefusalCode::GitRef);
    assert_eq!(repository.clone_at(&"0".repeat(40)).unwrap_err().code, RefusalCode::GitRef);
    assert_eq!(Repository::new().clone_at(&"0".repeat(64)).unwrap_err().code, RefusalCode::GitRef);
}

#[test]
fn submodules_and_pointers_of_lfs_are_told_and_left_empty() {
    let repository = Repository::new();
    assert_eq!(repository.clone_noted(Asked::default()).unwrap().0.warnings(), Vec::<String>::new());
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    repository.write("images/logo.png", pointer);
    repository.write("about-lfs.md", &format!("A pointer looks like this:\n\n{pointer}"));
    repository
        .write(".gitmodules", "[submodule \"theme\"]\n\tpath = themes/fine\n\turl = https://example.org/theme.git\n");
    repository.git(&["add", "-A"]);
    let head = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},themes/fine")]);
    repository.git(&["commit", "-q", "-m", "more"]);
    let (note, files) = repository.clone_noted(Asked::default()).unwrap();
    assert_eq!((note.submodules.count, note.submodules.first), (1, vec!["themes/fine".to_owned()]));
    assert_eq!((note.lfs_pointers.count, note.lfs_pointers.first), (1, vec!["images/logo.png".to_owned()]));
    assert_eq!(files["images/logo.png"].1, pointer.as_bytes());
    assert!(!files.keys().any(|path| path.starts_with("themes")), "{:?}", files.keys());
}

#[test]
fn what_would_be_too_much_is_refused_before_it_is_written() {
    let repository = Repository::new();
    repository.write("large", &"x".repeat(5000));
    repository.commit("large");
    let clone = |file_bytes_max, bytes_max, files_max| {
        let limits = Some(IntakeLimits { files_max, bytes_max, file_bytes_max });
        repository.clone_asked(Asked { limits, ..Asked::default() }).map(|(_, files)| files.len())
    };
    assert_eq!(clone(5000, 5003, 2).unwrap(), 2);
    for (limits, told) in [
        ((4999, 9999, 9), "`large` has 5000 bytes; a file may have 4999"),
        ((5000, 5002, 9), "more than 5002 bytes together"),
        ((5000, 9999, 1), "more than 1 files"),
    ] {
        let refusal = clone(limits.0, limits.1, limits.2).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::TooLarge);
        // The walk that follows says `folder`: it is the commit that was refused, not what it became on disk.
        assert!(refusal.message.contains(told) && !refusal.message.contains("folder"), "{refusal}");
    }
}

/// Ten folders that are one and the same, in ten folders that are one and the same, and so on: a few objects that
/// stand for ten billion files.
#[test]
fn a_few_objects_that_stand_for_billions_of_files_are_refused() {
    let repository = Repository::new();
    let mut below = repository.blob("x");
    let mut kind = "100644 blob";
    for _ in 0..10 {
        let lines: String = (0..10).map(|name| format!("{kind} {below}\t{name}\n")).collect();
        below = repository.git_with(&["mktree"], &lines);
        kind = "040000 tree";
    }
    repository.commit_tree(&format!("{kind} {below}\tbomb\n"));
    let refusal = repository.clone().map(|(_, files)| files.len()).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooLarge);
    assert!(refusal.message.contains("more than 100000 files"), "{refusal}");
}
