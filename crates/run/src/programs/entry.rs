//! What was built as the bytes of one file: the digest of all that follows, the length of what is said about it, that, and the files.

use serde::{Deserialize, Serialize};
use skylift_model::run::{File, Step};
use skylift_model::{Digest, FilePath};

use super::Built;

#[derive(Serialize, Deserialize)]
struct About {
    step: Step,
    files: Vec<(FilePath, usize)>,
}

const DIGEST_BYTES: usize = 32;
const LENGTH_BYTES: usize = 8;

pub(super) fn bytes(built: &Built) -> Vec<u8> {
    let files = built.files.iter().map(|file| (file.path.clone(), file.bytes.len())).collect();
    let about = serde_json::to_vec(&About { step: built.step.clone(), files }).unwrap_or_default();
    let length = about.len() + built.files.iter().map(|file| file.bytes.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(DIGEST_BYTES + LENGTH_BYTES + length);
    bytes.extend([0; DIGEST_BYTES]);
    bytes.extend((about.len() as u64).to_be_bytes());
    bytes.extend(about);
    built.files.iter().for_each(|file| bytes.extend(&file.bytes));
    if let Some((digest, rest)) = bytes.split_first_chunk_mut::<DIGEST_BYTES>() {
        *digest = *Digest::of(rest).as_bytes();
    }
    bytes
}

/// Nothing where these are not the bytes that were made.
pub(super) fn parse(bytes: &[u8]) -> Option<Built> {
    let (digest, rest) = bytes.split_first_chunk::<DIGEST_BYTES>()?;
    if Digest::of(rest) != Digest::from_bytes(*digest) {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let (about, mut rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    let About { step, files: named } = serde_json::from_slice(about).ok()?;
    let mut files = Vec::with_capacity(named.len());
    for (path, length) in named {
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        files.push(File { path, bytes: bytes.to_vec() });
    }
    rest.is_empty().then_some(Built { step, files })
}
