//! Deploys while files are asked for in every way there is: each answer is of one version, whole, and says so (threat 58).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use skylift_edge::EdgeConfig;
use skylift_model::Digest;
use skylift_model::site::Encoding;
use tokio::sync::watch;

use crate::dsl::http2::{Http2, get};
use crate::dsl::{Answer, Client, PATIENCE, SiteSpec, server, site};

const VERSIONS: u64 = 9;
const HOST: &str = "hello.localhost";
/// The way each form is told by: the encoding, and what its bytes are made of beside the version.
const FORMS: [(&str, Encoding); 3] = [("br", Encoding::Br), ("gzip", Encoding::Gzip), ("zstd", Encoding::Zstd)];
/// More than is kept in memory of one file, and less.
const SIZES: [(&str, usize); 2] = [("/small.txt", 20_000), ("/large.txt", 400_000)];

/// The bytes of a version's form: always the same unit, so that a mix of two is seen wherever it is.
fn bytes(form: &str, version: u64, size: usize) -> Vec<u8> {
    let unit = format!("{form}{version}|");
    let length = size + usize::try_from(version).unwrap() * 1_000;
    unit.bytes().cycle().take(length / unit.len() * unit.len()).collect()
}

fn version(number: u64) -> SiteSpec {
    let mut files = site().file("index.html", "home");
    for (path, size) in SIZES {
        let name = &path[1..];
        files = files.file(name, bytes("id", number, size));
        for (form, encoding) in FORMS {
            files = files.variant(name, encoding, bytes(form, number, size / 2));
        }
    }
    files
}

/// Every form of every version, by its tag.
type Known = BTreeMap<String, (String, Vec<u8>)>;

fn known(size: usize) -> Known {
    let mut known = Known::new();
    for number in 1..=VERSIONS {
        let digest = Digest::of(&bytes("id", number, size)).to_string();
        let mut add = |form: &str, bytes: Vec<u8>| known.insert(format!("{number} {form}"), (digest.clone(), bytes));
        add("", bytes("id", number, size));
        for (form, _) in FORMS {
            add(form, bytes(form, number, size / 2));
        }
    }
    known
}

/// Which version and form these bytes are of, from `first` on; fails where they are of none, or of two.
fn form_of<'k>(known: &'k Known, first: usize, part: &[u8], whole: Option<usize>) -> &'k str {
    let fits = |bytes: &[u8]| {
        whole.is_none_or(|length| length == bytes.len()) && bytes.get(first..first + part.len()) == Some(part)
    };
    let found = known.iter().find(|(_, (_, bytes))| fits(bytes));
    found.unwrap_or_else(|| panic!("{} bytes from {first} on of no version", part.len())).0
}

/// The first and the last byte that are asked for.
type Part = (usize, usize);

/// What is asked for in turn: the method, what is accepted, and which bytes.
const ASKED: [(&str, &str, Option<Part>); 7] = [
    ("GET", "br", None),
    ("GET", "gzip", None),
    ("HEAD", "br", None),
    ("GET", "zstd", None),
    ("GET", "identity", Some((1_000, 9_999))),
    ("HEAD", "identity", None),
    ("GET", "identity", None),
];

/// Tags, and what came under them.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    /// A tag stands for one form of one version, whoever asks and whenever.
    fn note(&mut self, tag: &str, form: &str) {
        let before = self.0.entry(tag.to_owned()).or_insert_with(|| form.to_owned());
        assert_eq!(before, form, "two things under {tag}");
    }
}

fn check(known: &Known, seen: &mut Seen, asked: (&str, &str, Option<(usize, usize)>), answer: &Answer) {
    let (method, accepted, range) = asked;
    let tag = answer.header("etag").unwrap();
    let encoding = answer.header("content-encoding").unwrap_or("");
    let length = answer.header("content-length").unwrap().parse::<usize>().unwrap();
    assert_eq!(encoding, if accepted == "identity" { "" } else { accepted });
    if method == "HEAD" {
        let of_length =
            known.iter().find(|(form, (_, bytes))| form.ends_with(&format!(" {encoding}")) && bytes.len() == length);
        seen.note(tag, of_length.expect("the length of a version").0);
        return;
    }
    assert!(answer.complete);
    let (first, whole) = match (answer.status, range) {
        (200, _) => (0, Some(length)),
        (206, Some((first, last))) => {
            let size = answer.header("content-range").unwrap().rsplit('/').next().unwrap().parse().unwrap();
            assert_eq!(answer.header("content-range"), Some(&*format!("bytes {first}-{last}/{size}")));
            (first, Some(size))
        }
        other => panic!("{asked:?}: {other:?}"),
    };
    let form = form_of(known, first, &answer.body, whole);
    assert!(form.ends_with(&format!(" {encoding}")), "{form} as {encoding:?}");
    seen.note(tag, form);
}

/// Asks for a file in every way until it is told to stop; how often, and how many tags there were.
async fn ask_on(
    address: SocketAddr,
    (path, size): (&'static str, usize),
    mut stop: watch::Receiver<bool>,
) -> (usize, usize) {
    let (known, mut seen, mut answers) = (known(size), Seen::default(), 0);
    let mut client = Client::connect(address).await;
    while !*stop.borrow_and_update() {
        for asked in ASKED {
            let (method, accepted, range) = asked;
            let range = range.map(|(first, last)| format!("bytes={first}-{last}"));
            let mut headers = vec![("accept-encoding", accepted)];
            headers.extend(range.as_ref().map(|range| ("range", range.as_str())));
            let answer = client.ask(method, HOST, path, &headers).await;
            check(&known, &mut seen, asked, &answer);
            answers += 1;
            // What it has, in part or anew: the same under this tag, or another whole under another.
            let tag = answer.header("etag").unwrap().to_owned();
            let again = client.ask("GET", HOST, path, &[("accept-encoding", accepted), ("if-none-match", &tag)]).await;
            match again.status {
                304 => assert_eq!((again.header("etag"), again.body.len()), (Some(&*tag), 0)),
                _ => {
                    assert_ne!(again.header("etag"), Some(&*tag));
                    check(&known, &mut seen, ("GET", accepted, None), &again);
                }
            }
            if accepted == "identity" {
                let part = [("accept-encoding", "identity"), ("range", "bytes=500-1499"), ("if-range", &tag)];
                let part = client.ask("GET", HOST, path, &part).await;
                assert_eq!(
                    part.status == 206,
                    part.header("etag") == Some(&*tag),
                    "a part of what it has, or all of another"
                );
                check(&known, &mut seen, ("GET", "identity", Some((500, 1499))), &part);
            }
        }
    }
    (answers, seen.0.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_for_during_deploys_is_of_one_version() {
    let server = server().app("hello", version(1)).start().await;
    let (stop, stopped) = watch::channel(false);
    let clients: Vec<_> =
        SIZES.map(|file| tokio::spawn(ask_on(server.address, file, stopped.clone()))).into_iter().collect();
    for number in 2..=VERSIONS {
        server.deploy("hello", number, version(number)).await;
        for (path, size) in SIZES {
            let answer = server.get_with(HOST, path, &[("accept-encoding", "br")]).await;
            assert!(answer.body == bytes("br", number, size / 2), "applied means served");
        }
    }
    stop.send(true).unwrap();
    for client in clients {
        let (answers, tags) = client.await.unwrap();
        assert!(answers >= ASKED.len() && tags >= 4, "{answers} answers, {tags} tags");
    }
}

#[test]
fn the_control_a_mix_of_two_versions_is_of_none() {
    let known = known(20_000);
    let (old, new) = (bytes("br", 1, 10_000), bytes("br", 2, 10_000));
    assert_eq!(form_of(&known, 0, &old, Some(old.len())), "1 br");
    let mixed = [&old[..5_000], &new[5_000..]].concat();
    for (first, part, whole) in [(0, &mixed[..], None), (0, &old[..], Some(new.len())), (1_000, &mixed[1_000..], None)]
    {
        assert!(std::panic::catch_unwind(|| form_of(&known, first, part, whole).to_owned()).is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_of_any_form_ends_with_the_bytes_that_it_began_with() {
    let of = |version: u64| bytes("br", version, 16_000_000);
    let spec =
        |version: u64| site().file("a.js", bytes("id", version, 16_000_000)).variant("a.js", Encoding::Br, of(version));
    // Nobody reads while the deploy is under way, however long that takes.
    let patient = |config: &mut EdgeConfig| config.limits.write_timeout = PATIENCE * 30;
    let server = server().app("hello", spec(1)).configure(patient).start().await;
    spec(2).store(&server.blobs).await;
    let begin = async |head: &str| {
        let mut client = server.client().await;
        client.write(format!("GET /a.js HTTP/1.1\r\nhost: {HOST}\r\n{head}\r\n").as_bytes()).await;
        let answer = client.read_head().await;
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        let start = client.read_body(1_000).await;
        (client, start, length)
    };
    let wanted = [
        ("accept-encoding: br\r\n", of(1)),
        ("", bytes("id", 1, 16_000_000)),
        ("range: bytes=5000000-\r\n", bytes("id", 1, 16_000_000)[5_000_000..].to_vec()),
    ];
    let mut begun = Vec::new();
    for (head, bytes) in wanted {
        begun.push((head, bytes, begin(head).await));
    }
    let mut http2 = Http2::connect(server.address, &[]).await;
    http2.ask(1, &[&get(HOST, "/a.js")[..], &[("accept-encoding", "br")]].concat()).await;
    let first = loop {
        let frame = http2.next().await.unwrap();
        if frame.kind == crate::dsl::http2::DATA {
            break frame.payload;
        }
    };

    server.deploy("hello", 2, spec(2)).await;
    for old in [of(1), bytes("id", 1, 16_000_000)] {
        std::fs::remove_file(server.blob_file(&Digest::of(&old))).unwrap();
    }
    for (head, bytes, (mut client, mut body, length)) in begun {
        body.extend(client.read_body(length - 1_000).await);
        assert!(body == bytes, "{head:?}");
    }
    assert!(server.get_with(HOST, "/a.js", &[("accept-encoding", "br")]).await.body == of(2));
    // A window is all that this client takes; what it was sent is of the old one.
    assert!(of(1).starts_with(&first));
}
