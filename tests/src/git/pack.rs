//! Packs of Git objects, made by hand: such as a real repository has, and such as stand for far more than they are.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tempfile::TempDir;

use crate::archive::zeros;
use crate::folder::Folder;

/// A commit, and a pack with all it needs.
#[derive(Clone)]
pub struct Packed {
    pub commit: String,
    pub pack: Arc<[u8]>,
}

/// How many zeros a pack stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    Mib64,
    Gib10,
}

/// The kinds of objects, as packs number them.
const COMMIT: u8 = 1;
const TREE: u8 = 2;
pub(super) const BLOB: u8 = 3;
const DELTA: u8 = 6;

/// What [`zeros`] repeats.
const PIECE: u64 = 64 << 20;
/// The name of the blob of 10 GiB of zeros. To hash them takes longer than a test should.
const GIB_10_NAME: &str = "1119181c4708377b56e8dedc83bba16a2ce4a254";

impl Packed {
    /// One commit of a folder's files.
    pub fn of(folder: &Folder) -> Self {
        let place = Place::new();
        place.git(&[&format!("--work-tree={}", folder.path().display()), "add", "--all"], &[]);
        let tree = text(place.git(&["write-tree"], &[]));
        let commit = text(place.git(&["commit-tree", &tree, "-m", "served"], &[]));
        let pack = place.git(&["pack-objects", "--quiet", "--stdout", "--revs"], commit.as_bytes());
        Self { commit, pack: pack.into() }
    }

    /// A page, and a file of zeros, in a thousandth of its size.
    pub fn zeros(size: Zeros) -> Self {
        let place = Place::new();
        let (name, pieces) = match size {
            Zeros::Mib64 => (place.name_of_piece(), 1),
            Zeros::Gib10 => (GIB_10_NAME.to_owned(), 160),
        };
        let blob = [object(BLOB, pieces * PIECE), zeros(pieces)].concat();
        place.with_zeros(&name, vec![blob])
    }

    /// A page, a file of zeros, and so many deltas of it, each of which stands for half a GiB.
    pub fn deltas(count: u32) -> Self {
        let place = Place::new();
        let base = [object(BLOB, PIECE), zeros(1)].concat();
        let mut back = base.len();
        let mut objects = vec![base];
        for number in 0..count {
            let delta = half_a_gib(number);
            let bytes = [object(DELTA, delta.len() as u64), offset(back), deflated(&delta)].concat();
            back += bytes.len();
            objects.push(bytes);
        }
        place.with_zeros(&place.name_of_piece(), objects)
    }
}

/// The first bytes of a pack of so many objects.
pub(super) fn header(objects: u32) -> Vec<u8> {
    [b"PACK".as_slice(), &2_u32.to_be_bytes(), &objects.to_be_bytes()].concat()
}

/// The first bytes of an object: its kind, and its size when unpacked.
pub(super) fn object(kind: u8, size: u64) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | u8::try_from(size & 15).unwrap()];
    continue_number(&mut bytes, size >> 4);
    bytes
}

fn number(value: u64) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(value & 0x7f).unwrap()];
    continue_number(&mut bytes, value >> 7);
    bytes
}

/// The rest of a number, seven bits at a time; each byte before says that another follows.
fn continue_number(bytes: &mut Vec<u8>, mut rest: u64) {
    while rest > 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(u8::try_from(rest & 0x7f).unwrap());
        rest >>= 7;
    }
}

/// How far back a delta's base begins.
fn offset(mut back: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(back & 0x7f).unwrap()];
    back >>= 7;
    while back > 0 {
        back -= 1;
        bytes.insert(0, 0x80 | u8::try_from(back & 0x7f).unwrap());
        back >>= 7;
    }
    bytes
}

/// 32 copies of the first 16 MiB of the base, less a byte, and a few bytes that make it differ from the others.
fn half_a_gib(which: u32) -> Vec<u8> {
    const COPY: u64 = 0x00ff_ffff;
    let own = which.to_be_bytes();
    let mut delta = [number(PIECE), number(32 * COPY + own.len() as u64)].concat();
    for _ in 0..32 {
        delta.extend([0b1111_0000, 0xff, 0xff, 0xff]);
    }
    delta.push(u8::try_from(own.len()).unwrap());
    delta.extend(own);
    delta
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An empty repository in which Git computes what only Git needs.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::with_prefix("skylift-pack-").unwrap());
        place.git(&["init", "--quiet", "--bare"], &[]);
        place
    }

    /// A commit of a page and of a blob of that name, which is among the objects.
    fn with_zeros(&self, blob: &str, mut objects: Vec<Vec<u8>>) -> Packed {
        let page = b"beside zeros".to_vec();
        let files = [("index.html", self.name("blob", &page)), ("zeros", blob.to_owned())];
        let entry = |(path, name): &(&str, String)| [format!("100644 {path}\0").into_bytes(), binary(name)].concat();
        let tree = files.iter().map(entry).collect::<Vec<_>>().concat();
        let by = "Ada Example <ada@example.org> 1700000000 +0000";
        let tree_name = self.name("tree", &tree);
        let commit = format!("tree {tree_name}\nauthor {by}\ncommitter {by}\n\nzeros\n").into_bytes();
        let name = self.name("commit", &commit);
        for (kind, bytes) in [(COMMIT, commit), (TREE, tree), (BLOB, page)] {
            objects.push([object(kind, bytes.len() as u64), deflated(&bytes)].concat());
        }
        let mut pack = [header(u32::try_from(objects.len()).unwrap()), objects.concat()].concat();
        pack.extend(self.sha1(&pack));
        Packed { commit: name, pack: pack.into() }
    }

    fn name_of_piece(&self) -> String {
        self.name("blob", &vec![0; usize::try_from(PIECE).unwrap()])
    }

    fn name(&self, kind: &str, bytes: &[u8]) -> String {
        text(self.git(&["hash-object", "--literally", "-t", kind, "--stdin"], bytes))
    }

    /// What every pack ends with.
    fn sha1(&self, bytes: &[u8]) -> Vec<u8> {
        let path = self.0.path().join("pack");
        std::fs::write(&path, bytes).unwrap();
        let summed = text(Command::new("sha1sum").arg(&path).output().unwrap().stdout);
        binary(summed.split(' ').next().unwrap())
    }

    fn git(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("git");
        command.arg(format!("--git-dir={}", self.0.path().display())).args(["-c", "core.bare=false"]).args(arguments);
        command.env("HOME", self.0.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ada Example").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
        }
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(input).unwrap();
        let ended = running.wait_with_output().unwrap();
        assert!(ended.status.success(), "git {arguments:?}");
        ended.stdout
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap().trim().to_owned()
}

fn binary(name: &str) -> Vec<u8> {
    (0..name.len()).step_by(2).map(|at| u8::from_str_radix(&name[at..at + 2], 16).unwrap()).collect()
}
