//! The deployments that both ways of serving serve.

use std::sync::Arc;

use skylift_blob::Blobs;
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::site::{Asset, Compat, Encoding, Site, SiteSettings, Variant};
use skylift_model::{DeploymentId, Digest, Timestamp};
use skylift_rules::{Dialect, RuleSet, Sources};

use crate::program::Groups;
use crate::routes::table::RouteTable;
use crate::site::ServedSite;

/// Rules that leave most files to the path alone, and some to what a plain request is not asked for.
const REDIRECTS: &[u8] = b"/ /welcome 302! Cookie=guest\n/old /about 301\n/app/* /about.html 200\n\
    /mid.bin /x 302 Language=de\n/big.bin q=:q /x 301!\n/private/* /login 200 Role=admin\n/docs/* /gone 410!\n";
const HEADERS: &[u8] =
    b"/*\n  X-From: rules\n/about*\n  Cache-Control: no-store\n  Link: </a>; rel=preload\n  X-Frame-Options: DENY\n\
    /ABOUT/\n  X-From: later\n/*.bin\n  Vary: Cookie\n";
/// The same for Cloudflare.
const FLARE_REDIRECTS: &[u8] = b"/old /about\n/mid.bin /about 301\n/app/* /about 200\n";
const FLARE_HEADERS: &[u8] =
    b"/*\n  X-From: flare\n  ! Referrer-Policy\n/about\n  X-From: more\n/docs/:page\n  X-Page: :page\n";
/// And for Vercel.
const VERCEL: &[u8] = br#"{"cleanUrls": true, "rewrites": [{"source": "/app/(.*)", "destination": "/about.html"}],
    "redirects": [{"source": "/mid.bin", "destination": "/about", "missing": [{"type": "cookie", "key": "guest"}]}],
    "headers": [{"source": "/(.*)", "headers": [{"key": "x-path", "value": "$1"}]},
                {"source": "/big.bin", "has": [{"type": "query", "key": "q"}], "headers": [{"key": "x-q", "value": "1"}]}]}"#;

/// One app with variants, clean addresses and files of every kind of size; one single-page app; one on Cloudflare's terms; some with
/// rules of their own; one with nothing live.
pub(super) async fn table(blobs: &Blobs) -> RouteTable {
    let mut table = RouteTable::default();
    let files: &[(&str, usize)] = &[
        ("index.html", 300),
        ("about.html", 5),
        ("docs/index.html", 9),
        ("empty.txt", 0),
        ("a b.txt", 7),
        ("mid.bin", 20_000),
        ("big.bin", 70_000),
    ];
    let clean = SiteSettings { clean_urls: true, ..SiteSettings::default() };
    let spa = SiteSettings { spa: true, ..SiteSettings::default() };
    let plain = SiteSettings::default();
    let pages = SiteSettings { compat: Compat::Cloudflare, ..SiteSettings::default() };
    let rules = |dialect, redirects, headers, vercel_json| {
        let (redirects, headers) = (Some(redirects), Some(headers));
        skylift_rules::read(&Sources { dialect, redirects, headers, vercel_json, ..Sources::default() }).rules
    };
    let none = RuleSet::default;
    let apps = [
        ("docs", plain, none()),
        ("clean", clean, none()),
        ("spa", spa, none()),
        ("pages", pages, none()),
        ("ruled", plain, rules(Dialect::Netlify, REDIRECTS, HEADERS, None)),
        ("ruled-spa", spa, rules(Dialect::Netlify, b"", HEADERS, None)),
        ("flare", pages, rules(Dialect::Cloudflare, FLARE_REDIRECTS, FLARE_HEADERS, None)),
        ("vercel", plain, rules(Dialect::Netlify, b"", b"", Some(VERCEL))),
    ];
    for (number, (app, settings, rules)) in (1..).zip(apps) {
        let mut site = Site { settings, rules, ..Site::default() };
        for (path, length) in files {
            site.files.insert(parse(path), asset(blobs, path, *length).await);
        }
        let id = DeploymentId::new(Timestamp::from_millis(number), 0);
        let deployments = vec![RoutedDeployment::new(id.clone(), Digest::of(b""))];
        let routes = AppRoutes {
            app: parse(app),
            generation: 1,
            live: Some(id),
            deployments,
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        };
        table.set(routes, Some(Arc::new(ServedSite::new(site))), &Arc::default(), &Groups::unheard());
    }
    let empty = AppRoutes {
        app: parse("empty"),
        generation: 1,
        live: None,
        deployments: Vec::new(),
        instances: Vec::new(),
        stopped: false,
        share: None,
        net_in: Vec::new(),
    };
    table.set(empty, None, &Arc::default(), &Groups::unheard());
    table
}

async fn asset(blobs: &Blobs, path: &str, length: usize) -> Asset {
    let put = async |bytes: Vec<u8>| {
        let size = bytes.len() as u64;
        (blobs.put(bytes).await.unwrap_or_else(|error| panic!("{error}")), size)
    };
    let (sha256, size) = put(path.bytes().cycle().take(length).collect()).await;
    let mut variants = Vec::new();
    if path == "index.html" {
        for encoding in [Encoding::Br, Encoding::Gzip] {
            let (sha256, size) = put(format!("not really {}", encoding.as_str()).into()).await;
            variants.push(Variant { encoding, sha256, size });
        }
    }
    Asset { sha256, size, variants, immutable: None }
}

pub(super) fn parse<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is a valid name"))
}
