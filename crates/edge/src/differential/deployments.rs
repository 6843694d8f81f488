//! The deployments that both ways of serving serve.

use std::sync::Arc;

use skylift_blob::Blobs;
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::site::{Asset, Encoding, Site, SiteSettings, Variant};
use skylift_model::{DeploymentId, Digest, Timestamp};
use skylift_rules::{RuleSet, Sources};

use crate::program::Groups;
use crate::routes::table::RouteTable;
use crate::site::ServedSite;

/// Rules that look at what no plain request is asked for.
const REDIRECTS: &[u8] = b"/ /welcome 302! Cookie=guest\n/old /about 301\n/app/* /about.html 200\n";
const HEADERS: &[u8] = b"/*\n  X-From: rules\n";

/// One app with variants, clean addresses and files of every kind of size; one single-page app; one with rules of its own; one
/// with nothing live.
pub(super) async fn table(blobs: &Blobs) -> RouteTable {
    let mut table = RouteTable::default();
    let files: &[(&str, usize)] = &[
        ("index.html", 300),
        ("about.html", 5),
        ("empty.txt", 0),
        ("a b.txt", 7),
        ("mid.bin", 20_000),
        ("big.bin", 70_000),
    ];
    let clean = SiteSettings { clean_urls: true, ..SiteSettings::default() };
    let spa = SiteSettings { spa: true, ..SiteSettings::default() };
    let plain = SiteSettings::default();
    let ruled =
        skylift_rules::read(&Sources { redirects: Some(REDIRECTS), headers: Some(HEADERS), ..Sources::default() });
    let none = RuleSet::default;
    let apps = [("docs", plain, none()), ("clean", clean, none()), ("spa", spa, none()), ("ruled", plain, ruled.rules)];
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
