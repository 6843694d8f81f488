//! What is deployed: a page, in each of the ways in which code comes to the platform.

use skylift_model::{Digest, FileEntry, FileMode};
use skylift_tests::archive::Tar;

/// How a page comes to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// As an archive that is the site.
    Archive,
    /// As a folder whose files are sent one by one.
    Folder,
    /// As an archive whose build makes the site.
    Built,
}

const STYLE: &str = "style.css";

fn style() -> String {
    "body {} ".repeat(400)
}

/// The archive that brings a page.
pub(crate) fn archive(page: &str, source: Source) -> Vec<u8> {
    if source != Source::Built {
        return Tar::new().file("index.html", page).file(STYLE, style()).gzip();
    }
    let command = "mkdir dist && cp page dist/index.html";
    let settings = format!("[build]\ncommand = \"{command}\"\noutput = \"dist\"\n");
    Tar::new().file("skylift.toml", settings).file("page", page).gzip()
}

/// The files of a folder that brings a page. One of them the app has sent before.
pub(crate) fn files(page: &str) -> Vec<(FileEntry, Vec<u8>)> {
    let file = |path: &str, text: String| {
        let (size, sha256) = (text.len() as u64, Digest::of(text.as_bytes()));
        let entry = FileEntry { path: path.parse().unwrap(), mode: FileMode::File, size, sha256 };
        (entry, text.into_bytes())
    };
    vec![file("about.html", format!("about {page}")), file("index.html", page.to_owned()), file(STYLE, style())]
}
