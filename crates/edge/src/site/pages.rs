//! Which file answers a path on Cloudflare Pages: one spelling for each page, and 308 from the others.
//!
//! ```text
//! /x/   x/index.html   else, of …/index/, 308 to …/        else x.html: 308 to /x
//! /x    x              else, of …/index,  308 to …/        else x.html           else x/index.html: 308 to /x/
//!       x.html is 308 to its short spelling where no file has that name; …/index.html to …/
//! ```
//!
//! Pure: of the site's files, only asked whether they are there.

use crate::path::{Ending, RequestPath};

/// What a path comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<T> {
    /// A file.
    File(T),
    /// The spelling of the page that it has to be asked for by: a path without its first slash, not escaped.
    Redirect(String),
    /// No file and no page.
    Nothing,
}

/// What a path that may lead to files comes to. `file` has the file of a name.
pub(super) fn place<T>(path: &RequestPath<'_>, file: impl Fn(&str) -> Option<T>) -> Place<T> {
    let key = path.key.as_ref();
    let found = match path.ending {
        Ending::Slash => folder(key, file),
        Ending::Name => name(key, file),
    };
    found.unwrap_or(Place::Nothing)
}

fn folder<T>(key: &str, file: impl Fn(&str) -> Option<T>) -> Option<Place<T>> {
    if let Some(index) = file(&below(key, "index.html")) {
        return Some(Place::File(index));
    }
    if let Some(folder) = without_index(key) {
        return Some(Place::Redirect(folder.to_owned()));
    }
    file(&format!("{key}.html")).map(|_| Place::Redirect(key.to_owned()))
}

fn name<T>(key: &str, file: impl Fn(&str) -> Option<T>) -> Option<Place<T>> {
    if let Some(exact) = file(key) {
        return Some(short_spelling(key, file).map_or(Place::File(exact), Place::Redirect));
    }
    if let Some(folder) = without_index(key) {
        return Some(Place::Redirect(folder.to_owned()));
    }
    if let Some(page) = file(&format!("{key}.html")) {
        return Some(Place::File(page));
    }
    file(&below(key, "index.html")).map(|_| Place::Redirect(format!("{key}/")))
}

/// How a page is to be asked for that was asked for by the name of its file.
fn short_spelling<T>(key: &str, file: impl Fn(&str) -> Option<T>) -> Option<String> {
    let short = key.strip_suffix(".html")?;
    if let Some(folder) = without_index(short) {
        return Some(folder.to_owned());
    }
    // A name that is nothing but `.html` has no short spelling, and another file's name is that one's.
    let is_free = !short.is_empty() && !short.ends_with('/') && file(short).is_none();
    is_free.then(|| short.to_owned())
}

/// `a/` of `a/index`, and nothing of `index`.
fn without_index(key: &str) -> Option<&str> {
    key.strip_suffix("index").filter(|folder| folder.is_empty() || folder.ends_with('/'))
}

fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the paths come to where there are these files.
    fn check(files: &[&str], table: &[(&str, &str)]) {
        for (path, expected) in table {
            let file = |name: &str| files.contains(&name).then(|| name.to_owned());
            let found = match place(&RequestPath::parse(path).unwrap(), file) {
                Place::File(name) => name,
                Place::Redirect(to) => format!("308 /{to}"),
                Place::Nothing => "nothing".to_owned(),
            };
            assert_eq!(found, *expected, "{path} of {files:?}");
        }
    }

    #[test]
    fn a_page_has_one_spelling_and_the_others_lead_to_it() {
        check(
            &["index.html", "about.html", "docs/index.html", "docs/intro.html", "app.js", "LICENSE", "a b.html"],
            &[
                ("/", "index.html"),
                ("/index.html", "308 /"),
                ("/index", "308 /"),
                ("/index/", "308 /"),
                ("/about", "about.html"),
                ("/about.html", "308 /about"),
                ("/about/", "308 /about"),
                ("/docs/", "docs/index.html"),
                ("/docs", "308 /docs/"),
                ("/docs/index.html", "308 /docs/"),
                ("/docs/index", "308 /docs/"),
                ("/docs/index/", "308 /docs/"),
                ("/docs/intro", "docs/intro.html"),
                ("/docs/intro/", "308 /docs/intro"),
                ("/docs/intro.html", "308 /docs/intro"),
                ("/app.js", "app.js"),
                ("/app.js/", "nothing"),
                ("/LICENSE", "LICENSE"),
                ("/LICENSE/", "nothing"),
                ("/license", "nothing"),
                ("/a%20b", "a b.html"),
                ("/a%20b.html", "308 /a b"),
                ("/about.html/", "nothing"),
                ("/about.html.html", "nothing"),
                ("/nope", "nothing"),
                ("/nope/", "nothing"),
            ],
        );
    }

    #[test]
    fn a_file_and_a_folder_of_one_name_are_told_apart_by_the_slash() {
        check(
            &["blog.html", "blog/index.html", "both", "both.html", "same", "same/index.html"],
            &[
                ("/blog", "blog.html"),
                ("/blog/", "blog/index.html"),
                ("/blog.html", "308 /blog"),
                ("/blog/index.html", "308 /blog/"),
                ("/both", "both"),
                ("/both.html", "both.html"),
                ("/both/", "308 /both"),
                ("/same", "same"),
                ("/same/", "same/index.html"),
            ],
        );
    }

    #[test]
    fn a_name_that_ends_in_index_is_a_folders_whether_or_not_there_is_one() {
        check(
            &["x/index", "reindex.html", "y/index.html.html", "index/index.html"],
            &[
                ("/x/index", "x/index"),
                ("/y/index", "308 /y/"),
                ("/y/index/", "308 /y/"),
                ("/y/index.html", "y/index.html.html"),
                ("/reindex", "reindex.html"),
                ("/reindex.html", "308 /reindex"),
                ("/nope/index", "308 /nope/"),
                ("/index", "308 /"),
                ("/index/", "index/index.html"),
                ("/", "nothing"),
            ],
        );
    }

    #[test]
    fn a_file_named_by_its_ending_alone_has_no_shorter_spelling() {
        check(
            &[".well-known/.html", ".well-known/a"],
            &[("/.well-known/.html", ".well-known/.html"), ("/.well-known/a", ".well-known/a")],
        );
    }

    proptest::proptest! {
        #[test]
        fn redirects_end_and_stay_on_the_host(
            files in proptest::collection::vec("(a|b|index)(/(a|b|index)){0,2}(\\.html)?(\\.html)?", 0..8),
            asked in "/((a|b|index)(/(a|b|index)){0,2}(\\.html)?/?)?",
        ) {
            let file = |name: &str| files.iter().any(|file| file == name).then_some(());
            // Each takes a part away, or ends it in a slash or without one.
            let steps_max = 1 + asked.matches('/').count();
            let mut path = asked.clone();
            for step in 0.. {
                let Place::Redirect(to) = place(&RequestPath::parse(&path).unwrap(), file) else { break };
                path = format!("/{to}");
                proptest::prop_assert!(step < steps_max && !path.starts_with("//"), "{asked} of {files:?}: {path}");
            }
        }

        #[test]
        fn every_file_can_be_reached(
            files in proptest::collection::vec("(a|b|index)(/(a|b|index)){0,2}(\\.html|\\.js)?", 1..8),
        ) {
            let file = |name: &str| files.iter().find(|file| *file == name).cloned();
            for wanted in &files {
                let mut path = format!("/{wanted}");
                let found = loop {
                    match place(&RequestPath::parse(&path).unwrap(), file) {
                        Place::Redirect(to) => path = format!("/{to}"),
                        found => break found,
                    }
                };
                proptest::prop_assert_eq!(found, Place::File(wanted.clone()), "by {}", path);
            }
        }
    }
}
