//! A site in its serving form: made once from an artifact, never changed.

mod cache_class;
mod content_type;
pub(crate) mod decide;
mod entry;
mod find;

use std::collections::HashMap;

use skylift_model::FilePath;
use skylift_model::site::{Compat, Site, SiteSettings};
use skylift_rules::Rules;

pub(crate) use entry::{Entry, Representation, insert_security};

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
    rules: Option<Box<Rules>>,
    bytes: u64,
}

impl ServedSite {
    /// Prepares a site. What must never be served is not in the result, so that no spelling can reach it.
    pub(crate) fn new(site: Site) -> Self {
        let mut entries = HashMap::with_capacity(site.files.len());
        let mut bytes = 0;
        for (path, asset) in site.files {
            if is_served(&path) {
                bytes += path.as_str().len() as u64 + BYTES_PER_FORM * (1 + asset.variants.len() as u64);
                entries.insert(path.as_str().into(), Entry::new(path.as_str(), asset));
            }
        }
        let rules = (!site.rules.is_empty()).then(|| Box::new(Rules::new(site.rules)));
        Self { entries, settings: site.settings, rules, bytes }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the site's own files say of redirects and headers, if they say anything.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }

    /// Whether answers of other hosts may be kept.
    pub(crate) fn keeps_answers(&self) -> bool {
        self.settings.cache
    }

    fn cleans_urls(&self) -> bool {
        self.settings.clean_urls || self.settings.compat == Compat::Cloudflare
    }
}

fn is_served(path: &FilePath) -> bool {
    let hidden = path.parts().any(|part| part.starts_with('.')) && path.below(".well-known").is_none();
    !hidden && !CONFIGURATION.contains(&path.as_str())
}
