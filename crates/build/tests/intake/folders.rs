//! Folders read out of a sandbox.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use skylift_build::frames::{IntakeLimits, Received, Refusal, RefusalCode};
use skylift_build::walk::{WalkRules, walk};
use skylift_model::FileMode;

use super::received::{Files, received};

fn walked(root: &Path, rules: &WalkRules) -> Result<(Received, Files), Refusal> {
    let mut stream = Vec::new();
    walk(root, &mut stream, rules).unwrap();
    received(&stream, &rules.limits).map_err(|error| error.as_refusal().unwrap())
}

fn output(root: &Path) -> Result<(Received, Files), Refusal> {
    walked(root, &WalkRules::output(IntakeLimits::default()))
}

fn source(root: &Path) -> Result<(Received, Files), Refusal> {
    walked(root, &WalkRules::source(IntakeLimits::default()))
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn check(result: Result<(Received, Files), Refusal>, expected: &str) {
    let refusal = result.map(|(_, files)| files).unwrap_err();
    assert!(refusal.message.contains(expected), "{:?} does not say {expected:?}", refusal.message);
}

#[test]
fn files_arrive_with_their_modes_and_skipped_ones_are_counted() {
    let root = folder(&[
        ("index.html", "<p>"),
        ("a/run", "x"),
        (".env", "secret"),
        (".git/HEAD", "x"),
        ("node_modules/x/i.js", "m"),
    ]);
    fs::set_permissions(root.path().join("a/run"), fs::Permissions::from_mode(0o4755)).unwrap();
    let (received, files) = source(root.path()).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a/run", "index.html"]);
    assert_eq!(files["a/run"], (FileMode::Executable, b"x".to_vec()));
    assert_eq!(received.skipped, 3);
    let (received, files) = output(root.path()).unwrap();
    assert!(files.contains_key("node_modules/x/i.js") && received.skipped == 2, "a server's modules are its output");
}

#[test]
fn a_folder_is_read_the_same_way_every_time() {
    let root = folder(&[("b", ""), ("a/z", ""), ("a/y", ""), ("a-b", "")]);
    let stream = || {
        let mut stream = Vec::new();
        walk(root.path(), &mut stream, &WalkRules::source(IntakeLimits::default())).unwrap();
        stream
    };
    assert_eq!(stream(), stream());
}

#[test]
fn a_source_keeps_links_that_stay_inside() {
    let root = folder(&[("a", "x")]);
    fs::create_dir(root.path().join("d")).unwrap();
    symlink("../a", root.path().join("d/l")).unwrap();
    assert_eq!(source(root.path()).unwrap().1["d/l"], (FileMode::Symlink, b"../a".to_vec()));
    symlink("/etc/passwd", root.path().join("out")).unwrap();
    check(source(root.path()), "`out`: the link's target is absolute");
}

#[test]
fn an_output_s_link_becomes_the_file_it_leads_to() {
    let root = folder(&[("real/a", "bytes")]);
    symlink("real/a", root.path().join("l")).unwrap();
    symlink("../l", root.path().join("real/second")).unwrap();
    let (_, files) = output(root.path()).unwrap();
    assert_eq!(files["l"], (FileMode::File, b"bytes".to_vec()));
    assert_eq!(files["real/second"], files["l"]);
}

#[test]
fn an_output_s_link_that_leads_elsewhere_is_refused_by_name() {
    let cases = [
        ("/etc/passwd", "leads outside"),
        ("../secret", "leads outside"),
        ("sub/../../secret", "leads outside"),
        ("missing", "to nothing"),
        ("l", "back to itself"),
        ("sub", "to a folder"),
        ("pipe", "is no file"),
        (".env", "left out"),
        ("/proc/self/environ", "leads outside"),
    ];
    for (target, expected) in cases {
        let root = folder(&[("secret", "canary"), ("out/sub/x", ""), ("out/.env", "KEY=1")]);
        let out = root.path().join("out");
        rustix::fs::mknodat(rustix::fs::CWD, out.join("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
        symlink(target, out.join("l")).unwrap();
        let result = output(&out);
        check(result.clone(), expected);
        check(result, "`l`");
    }
}

#[test]
fn without_the_policy_a_link_brings_out_what_lies_outside() {
    let root = folder(&[("secret", "canary"), ("out/index.html", "")]);
    symlink("../secret", root.path().join("out/l")).unwrap();
    assert_eq!(fs::read_to_string(root.path().join("out/l")).unwrap(), "canary");
    check(output(&root.path().join("out")), "leads outside");
}

#[test]
fn the_folder_itself_must_be_one() {
    let root = folder(&[("real/sub/index.html", "<p>"), ("file", "")]);
    symlink("real", root.path().join("dist")).unwrap();
    check(output(&root.path().join("dist")), "symbolic link");
    check(output(&root.path().join("dist/sub")), "symbolic link");
    check(output(&root.path().join("missing")), "left no folder");
    check(output(&root.path().join("file")), "is not a folder");
    assert!(output(&root.path().join("real/sub")).is_ok());
}

#[test]
fn special_files_and_odd_names_are_refused_by_name() {
    let with = |make: &dyn Fn(&Path)| {
        let root = folder(&[("index.html", "")]);
        make(root.path());
        output(root.path())
    };
    let pipe = |root: &Path| {
        rustix::fs::mknodat(rustix::fs::CWD, root.join("p"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    };
    check(with(&pipe), "`p`: it is a named pipe");
    let socket = |root: &Path| drop(std::os::unix::net::UnixListener::bind(root.join("s")).unwrap());
    check(with(&socket), "`s`: it is a socket");
    let bytes = |root: &Path| fs::write(root.join(std::ffi::OsStr::from_bytes(b"a\xffb")), "").unwrap();
    check(with(&bytes), "`a\u{fffd}b`: its name is not UTF-8");
    let control = |root: &Path| fs::write(root.join("a\nb"), "").unwrap();
    check(with(&control), "control character");
    let backslash = |root: &Path| fs::write(root.join("..\\x"), "").unwrap();
    check(with(&backslash), "backslash");
    let clash = |root: &Path| fs::write(root.join("INDEX.html"), "").unwrap();
    check(with(&clash), "same name on some systems");
}

#[test]
fn limits_hold_and_a_sparse_file_is_refused_by_its_size() {
    let root = folder(&[("a", "12345"), ("b", "123456")]);
    let limits = IntakeLimits { files_max: 2, bytes_max: 10, file_bytes_max: 6 };
    check(walked(root.path(), &WalkRules::output(limits)), "more than 10 bytes");
    check(walked(root.path(), &WalkRules::output(IntakeLimits { files_max: 1, ..limits })), "more than 1 files");
    let sparse = folder(&[]);
    fs::File::create(sparse.path().join("huge")).unwrap().set_len(1 << 40).unwrap();
    let refusal = output(sparse.path()).map(|(_, files)| files).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooLarge);
    let many = folder(&[]);
    for number in 0..11 {
        fs::create_dir(many.path().join(format!("d{number}"))).unwrap();
    }
    check(walked(many.path(), &WalkRules::output(limits)), "more than 10 files and folders");
}

#[test]
fn a_folder_deeper_than_any_path_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("d/".repeat(70))).unwrap();
    check(output(root.path()), "more than 64 parts");
}

#[test]
fn an_empty_output_is_an_empty_list() {
    let (received, _) = output(tempfile::tempdir().unwrap().path()).unwrap();
    assert!(received.manifest.files().is_empty());
}
