//! Files, their spellings, their heads.

use skylift_model::site::Encoding;

use crate::dsl::{id, server, site};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "public, max-age=0, must-revalidate";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_answered_with_its_bytes_and_a_full_head() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let answer = server.get("hello.localhost", "/").await;
    assert_eq!(answer.short(), "200 hi");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("content-length"), Some("2"));
    assert_eq!(answer.header("cache-control"), Some(REVALIDATE));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
    assert_eq!(answer.header("x-frame-options"), Some("SAMEORIGIN"));
    assert!(answer.header("x-request-id").unwrap().starts_with("r-"));
    assert!(answer.header("date").unwrap().ends_with("GMT"));
    assert_eq!(answer.header("server"), None);
    assert_eq!(answer.header("vary"), None, "there is only one form");
    assert_eq!(answer.header("x-robots-tag"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_spelling_is_answered_with_the_files_own_tag() {
    let files = site().file("index.html", "root").file("x.html", "x").file("dir/index.html", "dir");
    let server = server().app("hello", files).start().await;
    for (same, body) in [
        (&["/", "/index.html"][..], "root"),
        (&["/x", "/x.html", "/x?query=1", "/%78"][..], "x"),
        (&["/dir", "/dir/", "/dir/index.html"][..], "dir"),
    ] {
        let tag = server.get("hello.localhost", same[0]).await.header("etag").unwrap().to_owned();
        for path in same {
            let answer = server.get("hello.localhost", path).await;
            assert_eq!((answer.short(), answer.header("etag")), (format!("200 {body}"), Some(&*tag)), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_current_copy_is_not_sent_again() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let first = server.get("hello.localhost", "/").await;
    let tag = first.header("etag").unwrap();
    for condition in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
        for method in ["GET", "HEAD"] {
            let headers = [("if-none-match", condition.as_str())];
            let answer = server.client().await.ask(method, "hello.localhost", "/", &headers).await;
            assert_eq!(answer.status, 304, "{method} {condition}");
            assert_eq!(answer.header("etag"), Some(tag));
            assert_eq!(answer.header("cache-control"), Some(REVALIDATE));
            assert_eq!(answer.header("content-length"), None);
            assert_eq!(answer.header("content-type"), None);
        }
    }
    assert_eq!(server.get_with("hello.localhost", "/", &[("if-none-match", "\"old\"")]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_has_the_head_of_get() {
    let big = vec![b'x'; 600_000];
    let files = site().file("index.html", "hi").variant("index.html", Encoding::Br, "h").file("big.bin", &big);
    let server = server().app("hello", files.file("404.html", "gone")).start().await;
    for (host, path) in [
        ("hello.localhost", "/"),
        ("hello.localhost", "/big.bin"),
        ("hello.localhost", "/nope"),
        ("hello.localhost", "/%"),
        ("unknown.localhost", "/"),
        ("evil.example", "/"),
    ] {
        for headers in [&[][..], &[("accept-encoding", "br")][..]] {
            let get = server.get_with(host, path, headers).await;
            let head = server.head(host, path, headers).await;
            assert_eq!(head.status, get.status, "{host}{path}");
            assert_eq!(head.lasting_headers(), get.lasting_headers(), "{host}{path}");
            assert!(head.body.is_empty() && !get.body.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stored_form_has_its_own_tag_and_length() {
    let files = site()
        .file("app.js", "plain text of the script")
        .variant("app.js", Encoding::Br, "br")
        .variant("app.js", Encoding::Zstd, "zst")
        .variant("app.js", Encoding::Gzip, "gzip");
    let server = server().app("hello", files).start().await;
    let mut tags = std::collections::BTreeSet::new();
    for (accept, encoding, body) in [
        ("gzip, deflate, br, zstd", Some("br"), "br"),
        ("gzip, zstd", Some("zstd"), "zst"),
        ("br;q=0.1, gzip", Some("gzip"), "gzip"),
        ("identity", None, "plain text of the script"),
    ] {
        let answer = server.get_with("hello.localhost", "/app.js", &[("accept-encoding", accept)]).await;
        assert_eq!(answer.short(), format!("200 {body}"), "{accept}");
        assert_eq!(answer.header("content-encoding"), encoding);
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.header("content-length"), Some(&*body.len().to_string()));
        tags.insert(answer.header("etag").unwrap().to_owned());
    }
    assert_eq!(tags.len(), 4);
    let refused = server.get_with("hello.localhost", "/app.js", &[("accept-encoding", "identity;q=0, deflate")]).await;
    assert_eq!(refused.status, 406);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_small_and_large_files_are_exact() {
    let small: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let files = site().file("small.bin", &small).variant("small.bin", Encoding::Br, "b").file("large.bin", &large);
    let server = server().app("hello", files).start().await;
    for (path, bytes) in [("/small.bin", &small), ("/large.bin", &large)] {
        let size = bytes.len();
        for (range, first, last) in [
            ("bytes=0-0".to_owned(), 0, 0),
            ("bytes=10-19".into(), 10, 19),
            ("bytes=100-".into(), 100, size - 1),
            ("bytes=-7".into(), size - 7, size - 1),
            (format!("bytes=0-{}", size * 2), 0, size - 1),
        ] {
            let headers = [("range", range.as_str()), ("accept-encoding", "br")];
            let answer = server.get_with("hello.localhost", path, &headers).await;
            assert_eq!(answer.status, 206, "{path} {range}");
            assert_eq!(answer.header("content-range"), Some(&*format!("bytes {first}-{last}/{size}")));
            assert_eq!(answer.header("content-encoding"), None);
            assert!(answer.body == bytes[first..=last], "{path} {range}");
        }
        let beyond = server.get_with("hello.localhost", path, &[("range", &format!("bytes={size}-"))]).await;
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{size}")));
        let many = format!("bytes={}", "0-1,".repeat(10_000));
        for whole in ["bytes=0-,0-", "bytes=", "bytes=0-1,", &many[..5000]] {
            let answer = server.get_with("hello.localhost", path, &[("range", whole)]).await;
            assert!(answer.status == 200 && answer.body == **bytes, "{whole}");
        }
        let other = [("range", "bytes=0-1"), ("if-range", "\"other\"")];
        assert_eq!(server.get_with("hello.localhost", path, &other).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_of_ranges_makes_an_answer_larger_than_the_file() {
    // Of nothing, of a byte, and around the size from which files are not kept in memory.
    let sizes = [0, 1, 2, 255, 256 << 10, (256 << 10) + 1, 1_000_000];
    let of = |size: usize| (0..size).map(|n| (n % 251) as u8).collect::<Vec<_>>();
    let files = sizes.iter().fold(site(), |site, size| site.file(&format!("{size}.bin"), of(*size)));
    let server = server().app("hello", files).start().await;
    let mut client = server.client().await;
    for size in sizes {
        let path = format!("/{size}.bin");
        let list = |range: &str, count: usize| format!("bytes={}", vec![range; count].join(","));
        for range in
            [list("0-", 10_000), list("-1", 9_000), list("0-0", 8_000), list("0-", 16), list("1-0", 9), list("", 9)]
        {
            let answer = client.ask("GET", "hello.localhost", &path, &[("range", &range)]).await;
            // A file of 16 bytes or more has room for 16 parts of one byte.
            let parts = answer.status == 206 && size >= 16 && range.len() < 100;
            let whole = answer.status == 200 && answer.body == of(size);
            let none = answer.status == 416 && size == 0 && range.len() < 100;
            assert!(parts || whole || none, "{size}: {} {}", answer.status, &range[..range.len().min(40)]);
            assert!(answer.complete && answer.body.len() <= size + 16 * 200);
        }
        for nothing in [
            "bytes=-0".to_owned(),
            format!("bytes={size}-"),
            format!("bytes={}-{}", size + 1, size + 9),
            format!("bytes={}-", u128::MAX),
        ] {
            let answer = client.ask("GET", "hello.localhost", &path, &[("range", &nothing)]).await;
            let says = answer.header("content-range").map(str::to_owned);
            assert_eq!((answer.status, says), (416, Some(format!("bytes */{size}"))), "{nothing}");
        }
        for other in ["\"other\"", "W/\"other\"", "Tue, 15 Nov 1994 08:12:31 GMT", "*", ""] {
            let headers = [("range", "bytes=0-0"), ("if-range", other)];
            let answer = client.ask("GET", "hello.localhost", &path, &headers).await;
            assert!(answer.status == 200 && answer.body == of(size), "{size} {other:?}: {}", answer.status);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_ranges_are_sent_as_parts_in_their_order() {
    let small: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let files = site().file("small.bin", &small).file("large.bin", &large);
    let server = server().app("hello", files).start().await;
    for (path, bytes) in [("/small.bin", &small), ("/large.bin", &large)] {
        let size = bytes.len();
        let asked = [("range", "bytes=7-9, 0-1,-3"), ("accept-encoding", "br")];
        let answer = server.get_with("hello.localhost", path, &asked).await;
        assert_eq!(answer.status, 206);
        let content_type = answer.header("content-type").unwrap();
        let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let mut expected = Vec::new();
        for (first, last) in [(7, 9), (0, 1), (size - 3, size - 1)] {
            let line_end = if expected.is_empty() { "" } else { "\r\n" };
            expected
                .extend(format!("{line_end}--{boundary}\r\ncontent-type: application/octet-stream\r\n").into_bytes());
            expected.extend(format!("content-range: bytes {first}-{last}/{size}\r\n\r\n").into_bytes());
            expected.extend(&bytes[first..=last]);
        }
        expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        assert!(answer.complete && answer.body == expected, "{path}");
        assert_eq!(answer.header("content-range"), None, "each part has its own");
        let head = server.head("hello.localhost", path, &asked).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some(&*size.to_string())), "ranges are for GET");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashed_assets_are_kept_for_a_year_and_pages_are_revalidated() {
    let paths = ["assets/index-BfTk3x9Q.js", "_next/static/x/y.css", "app.js", "about.html"];
    let files = paths.iter().fold(site(), |site, path| site.file(path, "x"));
    let server = server().app("hello", files).start().await;
    let classes = [IMMUTABLE, IMMUTABLE, REVALIDATE, REVALIDATE];
    for (path, class) in paths.iter().zip(classes) {
        let answer = server.get("hello.localhost", &format!("/{path}")).await;
        assert_eq!(answer.header("cache-control"), Some(class), "{path}");
    }
    let missing = server.get("hello.localhost", "/assets/index-AAAA3x9Q.js").await;
    assert_eq!((missing.status, missing.header("cache-control")), (404, Some("no-store")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_pages_are_answered_with_the_sites_own_page_or_ours() {
    let own = site().file("index.html", "hi").file("404.html", "own").file("docs/404.html", "docs");
    let server = server().app("own", own).app("ours", site().file("index.html", "hi")).start().await;
    for (path, body) in [("/nope", "own"), ("/docs/a/b", "docs"), ("/a/b/", "own")] {
        let answer = server.get("own.localhost", path).await;
        assert_eq!(answer.short(), format!("404 {body}"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("etag"), None);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    }
    let conditional =
        server.get_with("own.localhost", "/nope", &[("if-none-match", "*"), ("range", "bytes=0-0")]).await;
    assert_eq!(conditional.short(), "404 own", "conditions are about what exists");
    let ours = server.get("ours.localhost", "/nope").await;
    assert_eq!((ours.status, ours.header("cache-control")), (404, Some("no-store")));
    assert!(ours.text().contains("prefers-color-scheme:dark") && ours.text().contains("<h1>Page not found</h1>"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_page_app_answers_navigations_only() {
    let server = server().app("spa", site().file("index.html", "app").file("a.js", "js").spa()).start().await;
    let html = [("accept", "text/html,*/*;q=0.8")];
    assert_eq!(server.get_with("spa.localhost", "/users/7", &html).await.short(), "200 app");
    let navigate = [("sec-fetch-mode", "navigate")];
    assert_eq!(server.get_with("spa.localhost", "/users/7", &navigate).await.short(), "200 app");
    assert_eq!(server.get_with("spa.localhost", "/old.js", &html).await.status, 404);
    assert_eq!(server.get_with("spa.localhost", "/users/7", &[("accept", "*/*")]).await.status, 404);
    assert_eq!(server.get_with("spa.localhost", "/.env", &html).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clean_urls_redirect_with_their_query_and_to_the_same_host() {
    let files = site().file("index.html", "hi").file("a b.html", "ab").clean_urls();
    let server = server().app("hello", files).start().await;
    let answer = server.get("hello.localhost", "/a%20b.html?x=//evil").await;
    assert_eq!((answer.status, answer.header("location")), (308, Some("/a%20b?x=//evil")));
    assert_eq!(server.get("hello.localhost", "/a%20b").await.short(), "200 ab");
    assert_eq!(server.get("hello.localhost", "/index.html").await.header("location"), Some("/"));
    for path in ["//evil.example/index.html", "/%2Fevil.example/index.html", "/%5Cevil.example/index.html"] {
        let answer = server.get("hello.localhost", path).await;
        assert!(answer.header("location").is_none() && answer.status >= 400, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloudflares_pages_are_answered_as_cloudflare_answers_them() {
    let files = site().file("index.html", "app").file("docs/index.html", "docs").file("a b.html", "ab").cloudflare();
    let server = server().app("hello", files.redirects("/old /new\n/alias /docs 200\n")).start().await;
    let get = async |path: &str| {
        let answer = server.get("hello.localhost", path).await;
        match answer.header("location") {
            Some(to) => format!("{} {to}", answer.status),
            None => answer.short(),
        }
    };
    for (path, expected) in [
        ("/docs?x=//evil", "308 /docs/?x=//evil"),
        ("/docs/", "200 docs"),
        ("/docs/index.html?x", "308 /docs/?x"),
        ("/a%20b.html", "308 /a%20b"),
        ("/a%20b/?y=1", "308 /a%20b?y=1"),
        ("/a%20b", "200 ab"),
        ("/users/7", "200 app"),
        ("/missing.js", "200 app"),
        ("/old?z", "302 /new?z"),
        ("/alias?z=1", "308 /docs/?z=1"),
    ] {
        assert_eq!(get(path).await, expected, "{path}");
    }
    for path in ["//evil.example/index", "/%2Fevil.example/index.html", "//evil.example/docs"] {
        assert!(server.get("hello.localhost", path).await.header("location").is_none(), "{path}");
    }
    let post = async |path: &str| server.client().await.ask("POST", "hello.localhost", path, &[]).await.status;
    assert_eq!((post("/docs/").await, post("/nowhere").await), (405, 405));
    assert_eq!(post("/old").await, 302, "redirects are for every method");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_get_and_head_are_answered() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MADEUP"] {
        let answer = server.client().await.ask(method, "hello.localhost", "/", &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(server.send("OPTIONS * HTTP/1.1\r\nhost: hello.localhost\r\n\r\n").await.status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_has_its_own_host_which_search_engines_skip() {
    let server = server().app("hello", site().file("index.html", "one")).start().await;
    server.deploy("hello", 2, site().file("index.html", "two")).await;
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 two");
    for (number, body) in [(1, "200 one"), (2, "200 two")] {
        let answer = server.get(&format!("{}.localhost", id(number)), "/").await;
        assert_eq!((answer.short().as_str(), answer.header("x-robots-tag")), (body, Some("noindex")));
    }
    assert_eq!(server.get("hello.localhost", "/").await.header("x-robots-tag"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_used_again_even_after_refusals() {
    let server = server().app("hello", site().file("index.html", "hi").file("empty.txt", "")).start().await;
    let mut client = server.client().await;
    for (path, status) in [("/", 200), ("/empty.txt", 200), ("/nope", 404), ("/%zz", 400), ("/", 200)] {
        assert_eq!(client.ask("GET", "hello.localhost", path, &[]).await.status, status, "{path}");
    }
    assert_eq!(client.ask("HEAD", "hello.localhost", "/", &[]).await.status, 200);
    assert_eq!(client.ask("GET", "hello.localhost", "/", &[]).await.short(), "200 hi");
}
