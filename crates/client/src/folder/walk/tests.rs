use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

/// A folder with `files`, each `path` or `path=content`.
fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let (path, content) = file.split_once('=').unwrap_or((file, "x"));
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn sent(root: &Path) -> Vec<String> {
    let mut files: Vec<String> = walk(root).unwrap().files.iter().map(ToString::to_string).collect();
    files.sort();
    files
}

/// Of `files`, those in `expected` are sent.
fn check(files: &[&str], expected: &[&str]) {
    assert_eq!(sent(tree(files).path()), expected, "of {files:?}");
}

#[test]
fn ignore_files_leave_out_what_they_say() {
    check(&["a", "sub/b", ".gitignore=a"], &[".gitignore", "sub/b"]);
    check(&["a.log", "sub/b.log", "sub/c", ".gitignore=*.log"], &[".gitignore", "sub/c"]);
    check(&["a.log", "sub/b.log", ".gitignore=/a.log"], &[".gitignore", "sub/b.log"]);
    check(&["dist/a", "src/dist/a", "b", ".gitignore=dist/"], &[".gitignore", "b"]);
    check(&["a.log", "keep.log", ".gitignore=*.log\n!keep.log"], &[".gitignore", "keep.log"]);
    check(&["sub/a.log", "b.log", "sub/.gitignore=*.log"], &["b.log", "sub/.gitignore"]);
    check(&["sub/a.log", ".gitignore=*.log", "sub/.gitignore=!a.log"], &[".gitignore", "sub/.gitignore", "sub/a.log"]);
    check(&["a", ".skyliftignore=a", "b"], &[".skyliftignore", "b"]);
    check(&["a", ".ignore=a"], &[".ignore", "a"]);
}

#[test]
fn dockerignore_counts_at_the_root_and_by_its_own_rules() {
    check(&["a.md", "sub/a.md", ".dockerignore=*.md"], &[".dockerignore", "sub/a.md"]);
    check(&["src/a", "b", "sub/c", ".dockerignore=*\n!src"], &[".dockerignore", "src/a"]);
    check(&["docs/a", "docs/README", ".dockerignore=docs\n!docs/README"], &[".dockerignore", "docs/README"]);
    check(&["sub/a", "sub/.dockerignore=a"], &["sub/.dockerignore", "sub/a"]);
    check(&["Dockerfile", "a", ".dockerignore=Dockerfile\na"], &[".dockerignore", "Dockerfile"]);
}

#[test]
fn skyliftignore_brings_back_what_other_ignore_files_leave_out() {
    let all = &[".dockerignore", ".gitignore", ".skyliftignore", "dist/a"];
    check(&["dist/a", ".gitignore=dist", ".dockerignore=dist", ".skyliftignore=!dist"], all);
    check(&["dist/a", "b", ".gitignore=dist"], &[".gitignore", "b"]);
}

#[test]
fn secrets_and_other_tools_folders_stay_whatever_ignore_files_say() {
    let everything = ".skyliftignore=!.env\n!.git\n!node_modules\n!*";
    check(
        &["a", ".env", "sub/.env.example", ".git/config", "node_modules/x/y", ".hg/z", ".DS_Store", everything],
        &[".skyliftignore", "a"],
    );
    check(&["a", "sub/.git=gitdir: ../x"], &["a"]);
}

#[test]
fn ignore_files_above_the_source_are_not_obeyed() {
    let outer = tree(&[".gitignore=*", ".skyliftignore=*", ".git/info/exclude=*", "site/index.html"]);
    assert_eq!(sent(&outer.path().join("site")), ["index.html"]);
}

#[test]
fn what_is_left_out_is_counted_without_being_looked_into() {
    let folder = tree(&["a", "b.log", "node_modules/x/y/z", "node_modules/q", ".env", ".gitignore=*.log"]);
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    let skipped = walk(folder.path()).unwrap().skipped;
    assert_eq!(skipped, Skipped { files: 3, folders: 1 });
    assert_eq!(skipped.to_string(), "3 files and 1 folder skipped");
}

#[test]
fn links_inside_are_kept_and_links_that_lead_out_are_named() {
    let folder = tree(&["sub/a"]);
    let root = folder.path();
    for (name, target) in [("in", "sub/a"), ("sub/up", "../sub/a"), ("dangling", "nothing"), ("folder", "./sub")] {
        symlink(target, root.join(name)).unwrap();
    }
    assert_eq!(sent(root), ["dangling", "folder", "in", "sub/a", "sub/up"]);

    for target in ["../x", "sub/../../x", "/etc/passwd", root.join("sub/a").to_str().unwrap()] {
        let link = root.join("out");
        symlink(target, &link).unwrap();
        let error = walk(root).unwrap_err();
        assert!(matches!(&error, FolderError::LinkOutside { path, .. } if path.ends_with("out")), "{target}: {error}");
        assert!(error.to_string().contains(target), "{error}");
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_folder_reached_through_a_link_is_not_walked_into() {
    let folder = tree(&["sub/a"]);
    symlink(".", folder.path().join("sub/round")).unwrap();
    assert_eq!(sent(folder.path()), ["sub/a", "sub/round"]);
}

#[test]
fn a_name_that_is_not_utf_8_is_an_error_unless_it_is_left_out() {
    let folder = tree(&["a"]);
    fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9.txt")), "x").unwrap();
    let error = walk(folder.path()).unwrap_err();
    assert!(matches!(error, FolderError::NotUtf8(_)), "{error}");
    assert!(error.to_string().contains("caf\\xE9.txt"), "{error}");

    fs::write(folder.path().join(".skyliftignore"), "*.txt").unwrap();
    assert_eq!(sent(folder.path()), [".skyliftignore", "a"]);
}

#[test]
fn names_that_no_source_may_have_are_an_error() {
    let error = walk(tree(&["a\\b"]).path()).unwrap_err();
    assert!(skylift_model::chain(&error).to_string().contains("backslash"), "{error:?}");
    assert!(matches!(walk(tree(&["a\nb"]).path()), Err(FolderError::Name { .. })));
}

#[test]
fn what_is_no_folder_with_something_in_it_is_said() {
    let folder = tree(&["file"]);
    assert!(matches!(walk(&folder.path().join("file")), Err(FolderError::NotAFolder(_))));
    assert!(matches!(walk(&folder.path().join("file/x")), Err(FolderError::NotAFolder(_))));
    assert!(matches!(walk(&folder.path().join("nothing")), Err(FolderError::Missing(_))));
    assert!(matches!(walk(tree(&[]).path()), Err(FolderError::Empty(_))));
    let error = walk(tree(&[".env", "node_modules/x"]).path()).unwrap_err();
    assert!(error.to_string().contains("1 file and 1 folder skipped"), "{error}");
}

#[test]
fn what_ignore_files_leave_out_is_told_with_its_line_and_what_brings_it_back() {
    let files =
        ["dist/a", "b.log", "doc/c", "web/out/d", "e", ".env", "web/.gitignore=out\nout/", ".skyliftignore=b.log"];
    let folder = tree(&files);
    fs::write(folder.path().join(".gitignore"), "# built\n*.log\ndist/ \n").unwrap();
    fs::write(folder.path().join(".dockerignore"), "\ndoc\n").unwrap();
    let mut told: Vec<String> = walk(folder.path()).unwrap().ignored.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "`b.log` is ignored by .skyliftignore:1 and is not sent; take that line out to send it",
            "`dist/` is ignored by .gitignore:3 and is not sent; to send it, write `!/dist/` in .skyliftignore",
            "`doc/` is ignored by .dockerignore:2 and is not sent; to send it, write `!/doc/` in .skyliftignore",
            "`web/out/` is ignored by web/.gitignore:2 and is not sent; to send it, write `!/web/out/` in .skyliftignore",
        ]
    );

    // The advice holds.
    fs::write(folder.path().join(".skyliftignore"), "!/dist/\n!/doc/\n!/web/out/").unwrap();
    let sent = sent(folder.path());
    assert!(["dist/a", "doc/c", "web/out/d"].iter().all(|file| sent.iter().any(|sent| sent == file)), "{sent:?}");
}
