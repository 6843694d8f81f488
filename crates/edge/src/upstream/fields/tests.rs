use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn shown(headers: &HeaderMap) -> String {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines.join("\n")
}

fn sent(fields: &[(&str, &str)], extra: &[(String, String)]) -> String {
    let target = Target::parse("https://api.example:8443/x").unwrap();
    let id = RequestId::new(skylift_model::Timestamp::from_millis(0), 0);
    let known = Known { client: [192, 0, 2, 7].into(), scheme: "https", id: &id };
    shown(&onward(&map(fields), &target, known, extra)).replace(id.as_str(), "r-1")
}

fn given(fields: &[(&str, &str)]) -> String {
    let id = RequestId::new(skylift_model::Timestamp::from_millis(0), 0);
    let known = Known { client: [192, 0, 2, 7].into(), scheme: "https", id: &id };
    shown(&inward(&map(fields), known)).replace(id.as_str(), "r-1")
}

const ADDED: &str = "cdn-loop: skylift\nhost: api.example:8443\nx-forwarded-for: 192.0.2.7\nx-forwarded-host: shop.localhost\n\
                     x-forwarded-proto: https\nx-request-id: r-1";

#[test]
fn what_concerns_one_connection_or_only_a_proxy_could_say_is_said_anew() {
    let fields = [
        ("host", "shop.localhost"),
        ("connection", "keep-alive, x-secret, te"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("expect", "100-continue"),
        ("proxy-authorization", "x"),
        ("proxy-connection", "close"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
        ("content_length", "7"),
        ("transfer_encoding", "chunked"),
        ("transfer---encoding", "chunked"),
        ("content.length", "7"),
        ("cdn_loop", "x"),
        ("trailer", "x"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-proto", "gopher"),
        ("forwarded", "for=6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x-request-id", "evil"),
        ("x-skylift-user", "root"),
        ("proxy", "http://evil.example:80"),
    ];
    assert_eq!(sent(&fields, &[]), ADDED);
    let inside = ADDED.replace("cdn-loop: skylift\nhost: api.example:8443", "host: shop.localhost");
    assert_eq!(given(&fields), inside, "an instance gets the same, under the name that was asked for");
}

#[test]
fn what_was_sent_to_the_site_goes_along_but_no_token_of_the_platform() {
    let of_site = [("authorization", "Bearer abc"), ("cookie", "a=b"), ("x-api-key", "k"), ("accept", "*/*")];
    let given = sent(&of_site, &[]);
    for line in ["authorization: Bearer abc", "cookie: a=b", "x-api-key: k", "accept: */*"] {
        assert!(given.contains(line), "{given}");
    }
    let of_platform = [("authorization", "Bearer skylift_0123"), ("x-api-key", "skylift_0123")];
    assert!(!sent(&of_platform, &[]).contains("skylift_"));
    assert!(!sent(&[("authorization", "bearer  skylift_0")], &[]).contains("skylift_"));
}

#[test]
fn a_client_cannot_have_the_credentials_of_its_request_taken_out() {
    let fields = [("host", "shop.localhost"), ("connection", "authorization, host, cookie"), ("cookie", "a=b")];
    assert_eq!(sent(&fields, &[]).replace("cookie: a=b\n", ""), ADDED.replace("cookie: a=b\n", ""));
    assert!(sent(&fields, &[]).contains("cookie: a=b"));
}

#[test]
fn a_rules_own_fields_are_set_but_change_no_framing() {
    let extra = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let fields = [
        extra("X-From", "site"),
        extra("Transfer-Encoding", "chunked"),
        extra("Host", "evil"),
        extra("Content-Length", "1"),
        extra("Connection", "close"),
        extra("x-forwarded-for", "6.6.6.6"),
        extra("bad name", "x"),
        extra("X-Line", "a\r\nb: c"),
    ];
    let expected = ADDED.replace("x-request-id", "x-from: site\nx-request-id");
    assert_eq!(sent(&[("host", "shop.localhost")], &fields), expected);
}

#[test]
fn answers_lose_what_is_of_one_connection_and_cookies_of_other_names() {
    let fields = [
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "x"),
        ("proxy-authenticate", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("alt-svc", "h3=\":443\""),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2; Domain=localhost; Path=/"),
        ("set-cookie", "c=3; domain = .shop.localhost"),
        ("set-cookie", "d=4; DOMAIN=.localhost"),
        ("set-cookie", "e=5; Domain="),
        ("location", "https://elsewhere.example/"),
    ];
    assert_eq!(
        shown(&homeward(map(&fields), "shop.localhost")),
        "location: https://elsewhere.example/\nset-cookie: a=1\nset-cookie: c=3; domain = .shop.localhost\nset-cookie: e=5; Domain="
    );
}

#[test]
fn a_second_hop_is_noticed() {
    for (value, passed) in
        [("skylift", true), ("cdn.example; x=1, Skylift;v=1", true), ("cdn", false), ("skylift-not", false)]
    {
        assert_eq!(was_passed_on(&map(&[("cdn-loop", value)])), passed, "{value}");
    }
    assert!(map(&[("host", "x")]).contains_key(HOST));
}
