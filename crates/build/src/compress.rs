//! Compressed variants of what is served, made once, at build time.

use std::io::Write;

use skylift_model::site::Encoding;

/// Files below this size gain nothing: with its head, such an answer fits into one packet as it is.
const BYTES_MIN: u64 = 1024;
/// Files above this size are served as they are: compressing them would hold a deploy up for minutes.
const BYTES_MAX: u64 = 64 << 20;
/// From this size on the quick settings are used.
const QUICK_FROM: usize = 2 << 20;
/// Below this size brotli's better settings cost more than they save.
const SMALL: usize = 32 << 10;

/// Extensions whose files are worth compressing; pictures, films and archives are compressed already.
const EXTENSIONS: &[&str] = &[
    "html",
    "htm",
    "css",
    "js",
    "mjs",
    "cjs",
    "json",
    "map",
    "svg",
    "xml",
    "txt",
    "md",
    "csv",
    "tsv",
    "wasm",
    "ico",
    "ttf",
    "otf",
    "eot",
    "webmanifest",
    "rss",
    "atom",
    "xhtml",
    "yaml",
    "yml",
    "geojson",
    "glb",
    "gltf",
    "bmp",
    "vtt",
];

/// Whether compressed variants of a file are worth making.
pub(crate) fn is_worthwhile(file_name: &str, size: u64) -> bool {
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    (BYTES_MIN..=BYTES_MAX).contains(&size) && EXTENSIONS.contains(&extension.as_str())
}

/// The codings that are made, the slowest first.
pub(crate) const ENCODINGS: [Encoding; 3] = [Encoding::Br, Encoding::Zstd, Encoding::Gzip];

/// The bytes in another coding, where that comes out smaller by more than a twentieth.
pub(crate) fn variant(bytes: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
    let packed = match encoding {
        Encoding::Br => brotli(bytes),
        Encoding::Zstd => zstandard(bytes),
        Encoding::Gzip => gzip(bytes),
    };
    packed.filter(|packed| packed.len() < bytes.len() - bytes.len() / 20)
}

/// The smallest of brotli's windows (RFC 7932 §9.1) that holds all bytes: setting up a large one costs more than
/// compressing a small file.
fn window_bits(length: usize) -> i32 {
    i32::try_from(length.next_power_of_two().trailing_zeros()).unwrap_or(22).clamp(10, 22)
}

fn brotli(bytes: &[u8]) -> Option<Vec<u8>> {
    // At quality 9 the encoder sets up 32 MiB of tables whatever the input; small files are not worth that.
    let quality = if (SMALL..QUICK_FROM).contains(&bytes.len()) { 9 } else { 5 };
    let parameters = brotli::enc::BrotliEncoderParams {
        quality,
        lgwin: window_bits(bytes.len()),
        size_hint: bytes.len(),
        ..brotli::enc::BrotliEncoderParams::default()
    };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut packed, &parameters).ok()?;
    Some(packed)
}

fn zstandard(bytes: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(bytes, if bytes.len() < QUICK_FROM { 15 } else { 6 }).ok()
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let level = flate2::Compression::new(if bytes.len() < QUICK_FROM { 9 } else { 6 });
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_variant_unpacks_to_the_same_bytes() {
        let bytes = "<p>hello, hello, hello</p>\n".repeat(200).into_bytes();
        for encoding in ENCODINGS {
            let packed = variant(&bytes, encoding).unwrap();
            let mut unpacked = Vec::new();
            match encoding {
                Encoding::Br => brotli::Decompressor::new(&*packed, 4096).read_to_end(&mut unpacked).unwrap(),
                Encoding::Zstd => zstd::stream::Decoder::new(&*packed).unwrap().read_to_end(&mut unpacked).unwrap(),
                Encoding::Gzip => flate2::read::GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap(),
            };
            assert_eq!(unpacked, bytes, "{encoding:?}");
        }
    }

    #[test]
    fn what_does_not_shrink_has_no_variants() {
        let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let hard = noise.iter().scan(7_u64, |x, b| {
            *x ^= *x << 13;
            *x ^= *x >> 7;
            *x ^= *x << 17;
            Some(*b ^ *x as u8)
        });
        let hard: Vec<u8> = hard.collect();
        assert!(ENCODINGS.iter().all(|encoding| variant(&hard, *encoding).is_none()));
        assert!(!is_worthwhile("photo.jpg", 10_000) && !is_worthwhile("a.css", 10) && is_worthwhile("a.CSS", 2000));
    }
}
