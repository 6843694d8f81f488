//! Our reading of an archive against those of GNU tar, Python and unzip: the same, or we refuse.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::received::{names, refused, unpacked};
use super::tarball::{Header, Tarball};

/// An archive made by somebody else's program.
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

const PYTHON_MAKES: &str = r#"
import io, os, sys, tarfile, zipfile
os.makedirs("src/deep/er", exist_ok=True)
files = {"index.html": b"<p>hello", "src/a.js": b"x" * 3000, "src/deep/er/b.txt": os.urandom(2000),
         "src/%s/%s.txt" % ("long" * 20, "name" * 20): b"long", "src/ünï/日本.txt": b"names", "empty": b"", "run.sh": b"true\n"}
for path, data in files.items():
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    open(path, "wb").write(data)
os.chmod("run.sh", 0o755)
os.symlink("../index.html", "src/link")
for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
    for kind in ("", "gz"):
        out = "../python-%s.tar%s" % (name, kind and "." + kind)
        with tarfile.open(out, "w:" + kind, format=form) as tar:
            tar.add(".")
for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
    with zipfile.ZipFile("../python-%s.zip" % name, "w", method) as archive:
        for path in sorted(files):
            archive.write(path)
class Pipe(io.RawIOBase):
    def __init__(self, file): self.file = file
    def writable(self): return True
    def write(self, data): return self.file.write(data)
with open("../python-streamed.zip", "wb") as file, zipfile.ZipFile(Pipe(file), "w", zipfile.ZIP_DEFLATED) as archive:
    for path in sorted(files):
        archive.write(path)
"#;

/// How each tool lists the names of a tar's files and links: `./` and folders left out.
const PYTHON_LISTS: &str = r#"
import sys, tarfile, zipfile
name = sys.argv[1]
if name.endswith(".zip"):
    # Info-ZIP writes UTF-8 without the flag that says so; Python then takes it for the alphabet of the first PCs.
    def read(i): return i.filename if i.flag_bits & 0x800 else i.filename.encode("cp437").decode("utf-8")
    names = [read(i) for i in zipfile.ZipFile(name).infolist() if not i.is_dir()]
else:
    names = [m.name for m in tarfile.open(name, errorlevel=2) if not m.isdir()]
print("\n".join(n[2:] if n.startswith("./") else n for n in names))
"#;

fn run(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).env("LC_ALL", "C.UTF-8").output();
    match output {
        Ok(output) if output.status.success() => Some(String::from_utf8(output.stdout).unwrap()),
        Ok(output) => panic!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            eprintln!("SKIPPED: there is no {program} on this machine");
            None
        }
    }
}

/// The same small project, packed by every program at hand; `None` where there is no Python.
pub(crate) fn archives() -> Option<Vec<Made>> {
    let root = tempfile::tempdir().unwrap();
    let tree = root.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    run("python3", &["-c", PYTHON_MAKES], &tree)?;
    for format in ["v7", "ustar", "gnu", "posix"] {
        let out = format!("../tar-{format}.tar");
        // v7 cannot say the long names.
        let what = if format == "v7" { ["index.html", "src/deep"].as_slice() } else { &["."] };
        run("tar", &[&["--format", format, "-cf", &out], what].concat(), &tree);
    }
    if Command::new("zip").arg("-v").output().is_ok() {
        run("zip", &["-qry", "../info.zip", "."], &tree);
    }
    let mut made = Vec::new();
    for entry in std::fs::read_dir(root.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            made.push(Made { name, bytes: std::fs::read(path).unwrap() });
        }
    }
    made.sort_by(|a, b| a.name.cmp(&b.name));
    Some(made)
}

fn listed_by_python(archive: &Path) -> Option<BTreeSet<String>> {
    let text = run("python3", &["-c", PYTHON_LISTS, archive.to_str().unwrap()], archive.parent().unwrap())?;
    Some(text.lines().map(str::to_owned).collect())
}

fn listed_by_tar(archive: &Path) -> Option<BTreeSet<String>> {
    let text = run("tar", &["--quoting-style=literal", "-tf", archive.to_str().unwrap()], archive.parent().unwrap())?;
    let names = text.lines().filter(|name| !name.ends_with('/'));
    Some(names.map(|name| name.strip_prefix("./").unwrap_or(name).to_owned()).collect())
}

#[test]
fn every_program_s_archives_are_read_as_that_program_reads_them() {
    let Some(archives) = archives() else { return };
    assert!(archives.len() >= 13, "{}", archives.len());
    let folder = tempfile::tempdir().unwrap();
    for Made { name, bytes } in archives {
        let path = folder.path().join(&name);
        std::fs::write(&path, &bytes).unwrap();
        let ours: BTreeSet<String> = names(&bytes).into_iter().collect();
        assert!(ours.contains("index.html") && ours.contains("src/deep/er/b.txt"), "{name}: {ours:?}");
        assert_eq!(Some(&ours), listed_by_python(&path).as_ref(), "{name} by Python");
        if name.contains(".tar") {
            assert_eq!(Some(&ours), listed_by_tar(&path).as_ref(), "{name} by GNU tar");
        }
        let (_, files) = unpacked(&bytes).unwrap();
        assert_eq!(files["index.html"].1, b"<p>hello", "{name}");
    }
}

#[test]
fn git_archive_is_read_whole() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("a.txt"), "a").unwrap();
    std::fs::create_dir(root.path().join("d")).unwrap();
    std::fs::write(root.path().join("d/b"), "b").unwrap();
    for arguments in [
        &["init", "-q"][..],
        &["add", "."],
        &["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one"],
        &["archive", "--prefix=proj-main/", "-o", "a.tar.gz", "HEAD"],
        &["archive", "--prefix=proj-main/", "-o", "a.zip", "HEAD"],
    ] {
        if run("git", arguments, root.path()).is_none() {
            return;
        }
    }
    for name in ["a.tar.gz", "a.zip"] {
        let bytes = std::fs::read(root.path().join(name)).unwrap();
        assert_eq!(names(&bytes), ["proj-main/a.txt", "proj-main/d/b"], "{name}");
    }
}

/// Archives on which readers are known to differ. The readings of two others are compared, to show that they do.
#[test]
fn where_other_readers_differ_we_refuse() {
    let mut prefixed = Header::new(b"name", b'0', 0);
    prefixed.put(257, b"ustar  \0").put(345, b"prefix");
    let one = Tarball::default().file("first", "").end();
    let two = Tarball::default().file("second", "").end();
    let folder = tempfile::tempdir().unwrap();
    let mut differences = 0;
    for (number, archive) in [
        Tarball::default().header(prefixed).end(),
        Tarball::default().pax(&[("size", "512")]).file("a", "").file("hidden", "").file("b", "").end(),
        Tarball::default().entry("d/", b'5', &[b'x'; 512]).file("a", "").end(),
        Tarball::default().file("x/", "").end(),
        Tarball::default().pax(&[("path", "")]).file("name", "").end(),
        [one, two].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        refused(&archive);
        let path = folder.path().join(format!("{number}.tar"));
        std::fs::write(&path, &archive).unwrap();
        let lists = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).arg(&path).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(text.lines().map(|line| line.trim_end_matches('/').to_owned()).collect::<Vec<_>>())
        };
        let (Some(tar), Some(python)) = (lists("tar", &["-tf"]), lists("python3", &["-c", PYTHON_LISTS])) else {
            return;
        };
        differences += u32::from(tar != python);
    }
    assert!(differences >= 2, "other readers agree on all of these: {differences}");
}
