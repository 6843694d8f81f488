//! How long browsers may keep a file without asking again.
//!
//! A year, where the name changes whenever the bytes do; otherwise not at all. A wrong "a year" cannot be taken back
//! from the browsers that got it, a wrong "not at all" costs a 304, so names that only might be hashed are not. Where the
//! framework that made a site is known, the build has said which names are; this is for all others.

/// How a file may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheClass {
    /// Its name holds a hash of its bytes.
    Immutable,
    /// Its bytes may change under this name.
    Revalidate,
}

impl CacheClass {
    /// The class of the file at a path.
    pub(crate) fn of(path: &str) -> Self {
        if is_hashed(path) { Self::Immutable } else { Self::Revalidate }
    }

    /// The `Cache-Control` that goes with it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Revalidate => "public, max-age=0, must-revalidate",
        }
    }
}

/// Folders in which a bundler puts nothing but files named by their content.
const HASHED_FOLDERS: &[&str] = &["_next/static/", "_app/immutable/"];
/// Folders in which bundlers put hashed files, and people their own.
const MIXED_FOLDERS: &[&str] = &["assets/", "_astro/", "_nuxt/", "static/js/", "static/css/", "build/"];
/// What bundlers make, and people hardly ever name by hand.
const BUNDLED: &[&str] = &["js", "mjs", "css", "map", "wasm"];

fn is_hashed(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(_, name)| path.split_at(path.len() - name.len()));
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    if matches!(extension, "html" | "htm") {
        return false;
    }
    if HASHED_FOLDERS.iter().any(|hashed| within(folder, hashed)) {
        return true;
    }
    let in_mixed = MIXED_FOLDERS.iter().any(|mixed| within(folder, mixed));
    if in_mixed && candidates(stem).any(is_scrambled) {
        return true;
    }
    let made = in_mixed && BUNDLED.contains(&extension);
    if made && folder.ends_with("_nuxt/") && is_hash(stem, made) {
        return true;
    }
    candidates(stem).any(|token| is_hash(token, made))
}

fn within(folder: &str, wanted: &str) -> bool {
    folder.starts_with(wanted)
        || folder.match_indices(wanted).any(|(at, _)| folder.get(..at).is_some_and(|before| before.ends_with('/')))
}

/// What follows a `.` or `-` in a stem, up to the next `.`; hashes in base 64 may hold a `-` themselves, and are then
/// the last eight characters.
fn candidates(stem: &str) -> impl Iterator<Item = &str> {
    let after_dots = stem.split('.').skip(1);
    let after_dashes = stem.split('.').flat_map(|part| part.split('-').skip(1));
    let eight = stem.split('.').filter_map(|part| {
        let (before, last) = part.split_at_checked(part.len().checked_sub(8)?)?;
        before.ends_with('-').then_some(last)
    });
    after_dots.chain(after_dashes).chain(eight)
}

fn is_hash(token: &str, made_by_a_bundler: bool) -> bool {
    let letter = token.bytes().any(|b| b.is_ascii_alphabetic());
    let digit = token.bytes().any(|b| b.is_ascii_digit());
    if !letter || !(digit || made_by_a_bundler) || is_wordlike(token) {
        return false;
    }
    match token.len() {
        8 => token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')),
        10 | 12 | 16 | 20 | 24 | 32 | 40 | 64 => token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        _ => false,
    }
}

/// Whether eight letters are in no order that a person would type (`DWYMDZyC`). A quarter of all hashes in base 64 have
/// no digit.
fn is_scrambled(token: &str) -> bool {
    let count = |is: fn(&u8) -> bool| token.bytes().filter(is).count();
    let (capitals, small) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    token.len() == 8 && capitals + small == 8 && capitals >= 3 && small >= 1
}

/// Whether people write like this (`holiday2`, `2024trip`, `IMG_1234`): every piece changes at most once between
/// small letters, capitals and digits.
fn is_wordlike(token: &str) -> bool {
    token.split(['-', '_']).all(|piece| {
        let kinds: Vec<u8> = piece.bytes().map(kind).collect();
        let changes = kinds.windows(2).filter(|pair| !matches!(pair, [a, b] if a == b || (*a, *b) == (CAPITAL, SMALL)));
        changes.count() <= 1
    })
}

const SMALL: u8 = 0;
const CAPITAL: u8 = 1;
const DIGIT: u8 = 2;

fn kind(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => SMALL,
        b'A'..=b'Z' => CAPITAL,
        _ => DIGIT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_bundlers_make_are_immutable() {
        for path in [
            "assets/index-BfTk3x9Q.css",
            "assets/index-BfTkXqAb.js",
            "assets/index-D-x_9aQz.js",
            "assets/index-DWYMDZyC.js",
            "assets/hero-CLDdwZDr.png",
            "assets/index-BfTk3x9Q.js.map",
            "assets/chunks/framework.DzVZ9qV3.js",
            "assets/js/main.1a2b3c4d.js",
            "static/js/main.3f2a1b4c.chunk.js",
            "main-QX7YJ2VR.js",
            "app.1a2b3c4d5e6f7a8b9c0d.js",
            "logo.3f2a1b4c.svg",
            "_nuxt/BfTk3x9Q.js",
            "_astro/index.BfTk3x9Q.css",
            "_next/static/abc/_buildManifest.js",
            "docs/_next/static/css/x.css",
            "_app/immutable/entry/start.js",
        ] {
            assert!(is_hashed(path), "{path}");
        }
    }

    #[test]
    fn names_that_people_give_are_revalidated() {
        for path in [
            "index.html",
            "assets/index-BfTk3x9Q.html",
            "app.js",
            "assets/app.js",
            "jquery-3.7.1.min.js",
            "bootstrap-datepick.css",
            "assets/bootstrap-datepick.css",
            "photo-2024holiday.jpg",
            "photo-2024trip.jpg",
            "photo-holiday2.jpg",
            "photo-IMG_1234.jpg",
            "report-20240101.pdf",
            "report-20240101ab.pdf",
            "IMG_20240101.jpg",
            "a1b2c3d4.js",
            "x_next/static/y.js",
            "my-component.js",
            "assets/some-Holidays.css",
            "assets/my-DatePick.png",
            "photo-DWYMDZyC.jpg",
            "deadbeef",
            "logo-deadbeef.svg",
        ] {
            assert!(!is_hashed(path), "{path}");
        }
    }
}
