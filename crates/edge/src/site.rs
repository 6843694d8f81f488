//! A site in its serving form: made once from an artifact, never changed.

mod cache_class;
mod content_type;
pub(crate) mod decide;
mod entry;
pub(crate) mod find;
mod pages;
pub(crate) mod ruled;

use std::collections::HashMap;

use skylift_model::FilePath;
use skylift_model::site::{Compat, Site, SiteSettings};
use skylift_rules::Rules;

pub(crate) use entry::{Entry, Representation, insert_security};
use ruled::Ruled;

/// Files at the root of a site that say how it is served; they are for us, not for visitors.
const CONFIGURATION: &[&str] = &["skylift.toml", "_redirects", "_headers", "netlify.toml", "vercel.json"];

/// A rough size of one form of a file in memory, with its share of the map and of heads made so far.
const BYTES_PER_FORM: u64 = 256;

/// Everything one deployment can answer with.
#[derive(Debug)]
pub(crate) struct ServedSite {
    entries: HashMap<Box<str>, Entry>,
    settings: SiteSettings,
    /// What the site's own files say of redirects and headers; boxed, for most say nothing.
    ruled: Option<Box<Ruled>>,
    bytes: u64,
}

impl ServedSite {
    /// Prepares a site. What must never be served is not in the result, so that no spelling can reach it.
    pub(crate) fn new(site: Site) -> Self {
        let mut entries = HashMap::with_capacity(site.files.len());
        let (mut bytes, mut forms) = (0, 0);
        for (path, asset) in site.files {
            if is_served(&path) {
                forms += 1 + asset.variants.len();
                bytes += path.as_str().len() as u64 + BYTES_PER_FORM * (1 + asset.variants.len() as u64);
                entries.insert(path.as_str().into(), Entry::new(path.as_str(), asset));
            }
        }
        let ruled = (!site.rules.is_empty()).then(|| Box::new(Ruled::new(Rules::new(site.rules), forms)));
        bytes += ruled.as_ref().map_or(0, |ruled| ruled.room() as u64);
        Self { entries, settings: site.settings, ruled, bytes }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the site's own files say of redirects and headers, if they say anything.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.ruled.as_ref().map(|ruled| &ruled.rules)
    }

    /// The same, with what they make of files.
    pub(crate) fn ruled(&self) -> Option<&Ruled> {
        self.ruled.as_deref()
    }

    /// Whether answers of other hosts may be kept.
    pub(crate) fn keeps_answers(&self) -> bool {
        self.settings.cache
    }

    /// Whether paths lead to files as on Cloudflare Pages.
    pub(crate) fn is_cloudflares(&self) -> bool {
        self.settings.compat == Compat::Cloudflare
    }
}

fn is_served(path: &FilePath) -> bool {
    let hidden = path.parts().any(|part| part.starts_with('.')) && path.below(".well-known").is_none();
    !hidden && !CONFIGURATION.contains(&path.as_str())
}
