//! The media type of a file, by its name.

/// The `Content-Type` of a file. Text is UTF-8; what is not known is only to be saved.
pub(crate) fn content_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    if let Some(known) = of_the_web(&extension) {
        return known;
    }
    match name {
        // Asked for by this name, without an extension, and only taken as JSON.
        "apple-app-site-association" => "application/json; charset=utf-8",
        _ => mime_guess::from_ext(&extension).first_raw().map_or("application/octet-stream", with_charset),
    }
}

/// The types of the web, spelled as its standards do; a table of file types knows some of them by older names.
fn of_the_web(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "webmanifest" => "application/manifest+json; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "xml" => "application/xml; charset=utf-8",
        "rss" => "application/rss+xml; charset=utf-8",
        "atom" => "application/atom+xml; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "wasm" => "application/wasm",
        "avif" => "image/avif",
        "webp" => "image/webp",
        "jxl" => "image/jxl",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "gz" => "application/gzip",
        "zst" => "application/zstd",
        _ => return None,
    })
}

fn with_charset(media_type: &'static str) -> &'static str {
    match media_type {
        "text/plain" => "text/plain; charset=utf-8",
        "text/html" => "text/html; charset=utf-8",
        "text/csv" => "text/csv; charset=utf-8",
        "text/calendar" => "text/calendar; charset=utf-8",
        "text/vtt" => "text/vtt; charset=utf-8",
        "text/xml" => "text/xml; charset=utf-8",
        "text/x-python" | "text/x-rust" | "text/x-c" | "text/x-go" | "text/x-java" => "text/plain; charset=utf-8",
        other => other,
    }
}

/// Whether a name is that of an asset, not of a page: a missing one must not be answered with a page.
pub(crate) fn is_asset_name(name: &str) -> bool {
    const ASSETS: &[&str] = &[
        "js",
        "mjs",
        "cjs",
        "css",
        "map",
        "json",
        "webmanifest",
        "wasm",
        "xml",
        "rss",
        "atom",
        "txt",
        "csv",
        "md",
        "pdf",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "avif",
        "jxl",
        "ico",
        "bmp",
        "tif",
        "tiff",
        "woff",
        "woff2",
        "ttf",
        "otf",
        "eot",
        "mp3",
        "mp4",
        "m4a",
        "m4v",
        "ogg",
        "oga",
        "ogv",
        "opus",
        "wav",
        "flac",
        "webm",
        "mov",
        "avi",
        "vtt",
        "zip",
        "gz",
        "tgz",
        "br",
        "zst",
        "tar",
        "7z",
        "rar",
        "dmg",
        "exe",
        "apk",
        "bin",
        "ts",
        "tsx",
        "jsx",
        "scss",
        "php",
        "asp",
        "aspx",
        "jsp",
        "cgi",
        "sql",
        "bak",
        "yml",
        "yaml",
        "toml",
        "ini",
        "log",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
    ];
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ASSETS.iter().any(|asset| extension.eq_ignore_ascii_case(asset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_web_are_the_standard_ones() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/APP.JS", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.js.map", "application/json; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.wasm", "application/wasm"),
            ("site.webmanifest", "application/manifest+json; charset=utf-8"),
            ("a.avif", "image/avif"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.pdf", "application/pdf"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.ics", "text/calendar; charset=utf-8"),
            ("a.unknown-thing", "application/octet-stream"),
            ("LICENSE", "application/octet-stream"),
            (".well-known/apple-app-site-association", "application/json; charset=utf-8"),
        ] {
            assert_eq!(content_type(path), expected, "{path}");
        }
    }

    #[test]
    fn routes_with_dots_are_no_assets() {
        for name in ["app.js", "A.PNG", "x.tar.gz", "wp-login.php"] {
            assert!(is_asset_name(name), "{name}");
        }
        for name in ["users", "jane.doe", "v1.2", "example.com", "index.html", ""] {
            assert!(!is_asset_name(name), "{name}");
        }
    }
}
