//! Which file answers a path.
//!
//! ```text
//! /x   x, x.html, x/index.html        /x/  x/index.html, x.html        /  index.html
//! then, for a single-page app, index.html at the root; then the nearest 404.html up the tree
//! ```
//!
//! With `compat = "cloudflare"`, [`super::pages`] says which; then the nearest 404.html; then index.html at the root.

use super::content_type::is_asset_name;
use super::pages::{Place, place};
use super::{Entry, ServedSite};
use crate::path::{Ending, Reach, RequestPath, encode};

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found<'s> {
    /// The file that the path is a spelling of.
    File(&'s Entry),
    /// The page that stands, as if it were there, for whatever is not.
    Fallback(&'s Entry),
    /// The one spelling of the path this site wants to be known by.
    Redirect(String),
    /// Nothing; the site may have a page to say so.
    Nothing(Option<&'s Entry>),
}

impl ServedSite {
    /// What a path leads to. `navigates`: whether the client wants a page to show.
    pub(crate) fn find(&self, path: &RequestPath<'_>, navigates: bool) -> Found<'_> {
        if self.is_cloudflares() {
            return self.find_as_cloudflare(path);
        }
        if path.reach == Reach::Files
            && let Some(entry) = self.named(&path.key, path.ending)
        {
            return match self.clean_spelling(&path.key, entry) {
                Some(clean) => Found::Redirect(encode(clean)),
                None => Found::File(entry),
            };
        }
        let may_be_page = path.reach != Reach::Nothing && navigates && !is_asset_name(path.last_part());
        if self.settings.spa
            && may_be_page
            && let Some(index) = self.entries.get("index.html")
        {
            return Found::Fallback(index);
        }
        Found::Nothing(self.nearest_not_found_page(path))
    }

    /// The same for Cloudflare: a site without a page of its own for what is not there is a single-page app, for whoever asks.
    fn find_as_cloudflare(&self, path: &RequestPath<'_>) -> Found<'_> {
        if path.reach == Reach::Files {
            match place(path, |name| self.entries.get(name)) {
                Place::File(entry) => return Found::File(entry),
                Place::Redirect(to) => return Found::Redirect(encode(&to)),
                Place::Nothing => {}
            }
        }
        match (self.nearest_not_found_page(path), self.entries.get("index.html")) {
            (None, Some(index)) if path.reach != Reach::Nothing => Found::Fallback(index),
            (page, _) => Found::Nothing(page),
        }
    }

    /// The file of exactly this path, if it never changes: its name has a hash of what is in it.
    pub(crate) fn immutable_file(&self, path: &RequestPath<'_>) -> Option<&Entry> {
        let is_file = path.reach == Reach::Files && path.ending == Ending::Name;
        self.entries.get(path.key.as_ref()).filter(|entry| is_file && entry.is_immutable())
    }

    /// Whether nothing answers the path but a page for whatever is not there.
    pub(crate) fn lacks(&self, path: &RequestPath<'_>, navigates: bool) -> bool {
        match self.find(path, navigates) {
            Found::File(_) | Found::Redirect(_) => false,
            // Of a single-page app of ours, only pages have it.
            Found::Fallback(_) => self.is_cloudflares(),
            Found::Nothing(_) => true,
        }
    }

    /// Whether a file answers the path, in one of its spellings.
    pub(crate) fn has_file(&self, path: &RequestPath<'_>) -> bool {
        path.reach == Reach::Files && self.named(&path.key, path.ending).is_some()
    }

    fn named(&self, key: &str, ending: Ending) -> Option<&Entry> {
        if key.is_empty() {
            return self.entries.get("index.html");
        }
        let page = || self.entries.get(format!("{key}.html").as_str());
        let index = || self.entries.get(format!("{key}/index.html").as_str());
        match ending {
            Ending::Name => self.entries.get(key).or_else(page).or_else(index),
            Ending::Slash => index().or_else(page),
        }
    }

    /// The spelling without `.html` and `index`, where the site wants it, and where it leads to the same file.
    fn clean_spelling<'k>(&self, key: &'k str, entry: &Entry) -> Option<&'k str> {
        if !self.settings.clean_urls {
            return None;
        }
        let short = key.strip_suffix(".html").unwrap_or(key);
        let clean = match short.strip_suffix("index") {
            Some("") => "",
            Some(folder) => folder.strip_suffix('/').unwrap_or(short),
            None => short,
        };
        let same = self.named(clean, Ending::Name).is_some_and(|other| std::ptr::eq(other, entry));
        (clean.len() < key.len() && same).then_some(clean)
    }

    fn nearest_not_found_page(&self, path: &RequestPath<'_>) -> Option<&Entry> {
        let mut folder = match (path.reach, path.ending) {
            (Reach::Files, Ending::Slash) => path.key.as_ref(),
            (Reach::Files, Ending::Name) => parent(&path.key),
            // Its parts are no folders of the site.
            (Reach::PagesOnly | Reach::Nothing, _) => "",
        };
        while !folder.is_empty() {
            if let Some(page) = self.entries.get(format!("{folder}/404.html").as_str()) {
                return Some(page);
            }
            folder = parent(folder);
        }
        self.entries.get("404.html")
    }
}

fn parent(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skylift_model::Digest;
    use skylift_model::site::{Asset, Compat, Site, SiteSettings};

    const FILES: &[&str] = &[
        "index.html",
        "about.html",
        "docs/index.html",
        "docs/404.html",
        "docs/guide/intro.html",
        "both",
        "both.html",
        "404.html",
        "app.js",
        "a b.html",
        "blog.html",
        "blog/index.html",
        ".well-known/security.txt",
        ".env",
        "a/.secret/x",
        "skylift.toml",
        "_redirects",
        "_headers",
        "netlify.toml",
        "vercel.json",
        "docs/_redirects",
    ];

    fn site(settings: SiteSettings) -> ServedSite {
        let asset =
            |path: &&str| Asset { sha256: Digest::of(path.as_bytes()), size: 1, variants: Vec::new(), immutable: None };
        let files = FILES.iter().map(|path| (path.parse().unwrap(), asset(path))).collect();
        ServedSite::new(Site { files, settings, ..Site::default() })
    }

    fn name_of(entry: &Entry) -> &'static str {
        FILES.iter().find(|path| entry.identity().digest == Digest::of(path.as_bytes())).unwrap()
    }

    fn check(site: &ServedSite, path: &str, navigates: bool) -> String {
        match site.find(&RequestPath::parse(path).unwrap(), navigates) {
            Found::File(entry) => name_of(entry).into(),
            Found::Fallback(entry) => format!("instead {}", name_of(entry)),
            Found::Redirect(to) => format!("-> {to}"),
            Found::Nothing(page) => format!("nothing {}", page.map_or("", name_of)),
        }
    }

    #[test]
    fn every_spelling_of_a_page_is_answered_with_its_file() {
        let site = site(SiteSettings::default());
        for (path, expected) in [
            ("/", "index.html"),
            ("/index.html", "index.html"),
            ("/index", "index.html"),
            ("/about", "about.html"),
            ("/about.html", "about.html"),
            ("/about/", "about.html"),
            ("/docs", "docs/index.html"),
            ("/docs/", "docs/index.html"),
            ("/docs/index.html", "docs/index.html"),
            ("/docs/guide/intro", "docs/guide/intro.html"),
            ("/both", "both"),
            ("/both.html", "both.html"),
            ("/blog", "blog.html"),
            ("/blog/", "blog/index.html"),
            ("/a%20b", "a b.html"),
            ("/.well-known/security.txt", ".well-known/security.txt"),
        ] {
            assert_eq!(check(&site, path, false), expected, "{path}");
        }
    }

    #[test]
    fn the_nearest_not_found_page_answers_for_the_rest() {
        let site = site(SiteSettings::default());
        for (path, expected) in [
            ("/nope", "nothing 404.html"),
            ("/docs/nope", "nothing docs/404.html"),
            ("/docs/guide/deep/nope", "nothing docs/404.html"),
            ("/docs/guide/", "nothing docs/404.html"),
            ("/index.html/", "nothing 404.html"),
            ("/INDEX.html", "nothing 404.html"),
            ("/about.html.html", "nothing 404.html"),
            ("/docs%2Findex.html", "nothing 404.html"),
            ("//index.html", "nothing 404.html"),
            ("//", "nothing 404.html"),
        ] {
            assert_eq!(check(&site, path, true), expected, "{path}");
        }
    }

    #[test]
    fn hidden_files_and_configuration_do_not_exist() {
        let mut settings = SiteSettings::default();
        for spa in [false, true] {
            settings.spa = spa;
            let site = site(settings);
            for path in ["/.env", "/%2eenv", "/a/.secret/x", "/.git/config"] {
                assert_eq!(check(&site, path, true), "nothing 404.html", "{path}");
            }
            for path in ["/skylift.toml", "/_redirects", "/_headers", "/netlify.toml", "/vercel.json", "/_redirect%73"]
            {
                assert!(check(&site, path, false).starts_with("nothing"), "{path}");
            }
            assert_eq!(check(&site, "/docs/_redirects", false), "docs/_redirects", "only the root's is configuration");
        }
    }

    #[test]
    fn a_single_page_app_answers_navigations_that_no_file_does() {
        let site = site(SiteSettings { spa: true, ..SiteSettings::default() });
        for (path, navigates, expected) in [
            ("/users/7", true, "instead index.html"),
            ("/users/7/", true, "instead index.html"),
            ("/users/jane.doe", true, "instead index.html"),
            ("/files/a%2Fb", true, "instead index.html"),
            ("/docs/nope", true, "instead index.html"),
            ("/users/7", false, "nothing 404.html"),
            ("/old.js", true, "nothing 404.html"),
            ("/a//b", true, "nothing 404.html"),
            ("/app.js", true, "app.js"),
        ] {
            assert_eq!(check(&site, path, navigates), expected, "{path}");
        }
    }

    #[test]
    fn clean_urls_redirect_to_the_short_spelling_of_the_same_file() {
        let site = site(SiteSettings { clean_urls: true, ..SiteSettings::default() });
        for (path, expected) in [
            ("/about.html", "-> /about"),
            ("/index.html", "-> /"),
            ("/index", "-> /"),
            ("/docs/index.html", "-> /docs"),
            ("/docs/index", "-> /docs"),
            ("/a%20b.html", "-> /a%20b"),
            ("/about", "about.html"),
            ("/", "index.html"),
            ("/docs", "docs/index.html"),
            ("/app.js", "app.js"),
            ("/both.html", "both.html"),
            ("/blog/index.html", "blog/index.html"),
        ] {
            assert_eq!(check(&site, path, false), expected, "{path}");
        }
    }

    /// What Cloudflare says to a path of a site that has these files; our own settings change nothing about it.
    fn check_cloudflare(without: &[&str], table: &[(&str, &str)]) {
        for own in [false, true] {
            let settings =
                SiteSettings { compat: Compat::Cloudflare, spa: own, clean_urls: own, ..SiteSettings::default() };
            let mut site = site(settings);
            site.entries.retain(|path, _| !without.contains(&path.as_ref()));
            for (path, expected) in table {
                for navigates in [false, true] {
                    assert_eq!(check(&site, path, navigates), *expected, "{path}");
                }
            }
        }
    }

    #[test]
    fn cloudflares_pages_have_one_spelling_and_the_nearest_not_found_page_answers_for_the_rest() {
        check_cloudflare(
            &[],
            &[
                ("/", "index.html"),
                ("/index.html", "-> /"),
                ("/about.html", "-> /about"),
                ("/about/", "-> /about"),
                ("/docs", "-> /docs/"),
                ("/docs/", "docs/index.html"),
                ("/docs/index", "-> /docs/"),
                ("/a%20b.html", "-> /a%20b"),
                ("/both.html", "both.html"),
                ("/nope", "nothing 404.html"),
                ("/docs/nope", "nothing docs/404.html"),
                ("/docs/guide/nope/", "nothing docs/404.html"),
                ("/nope.js", "nothing 404.html"),
                ("/_redirects", "nothing 404.html"),
                ("/.env", "nothing 404.html"),
                ("//", "nothing 404.html"),
            ],
        );
    }

    #[test]
    fn a_site_of_cloudflares_without_a_not_found_page_is_a_single_page_app() {
        let spa = [
            ("/users/7", "instead index.html"),
            ("/users/7/", "instead index.html"),
            ("/old.js", "instead index.html"),
            ("/files/a%2Fb", "instead index.html"),
            ("/docs/nope", "nothing docs/404.html"),
            ("/about", "about.html"),
            ("/.env", "nothing "),
            ("/a/.secret/x", "nothing "),
            ("//users", "nothing "),
        ];
        check_cloudflare(&["404.html"], &spa);
        check_cloudflare(&["404.html", "index.html"], &[("/users/7", "nothing "), ("/", "nothing ")]);
    }

    #[test]
    fn a_redirect_never_leads_to_another_redirect_or_another_host() {
        let site = site(SiteSettings { clean_urls: true, ..SiteSettings::default() });
        for file in FILES {
            let mut path = format!("/{}", file.replace(' ', "%20"));
            for step in 0.. {
                let found = check(&site, &path, false);
                let Some(next) = found.strip_prefix("-> ") else { break };
                assert!(step < 1 && !next.starts_with("//"), "{file}: {next}");
                path = next.to_owned();
            }
        }
    }
}
