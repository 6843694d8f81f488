//! What the host holds after a stream of frames: for tests, in memory.

use std::collections::{BTreeMap, HashMap};
use std::io;

use skylift_build::frames::{IntakeError, IntakeLimits, Received, Refusal, Sink, receive};
use skylift_build::unpack::unpack;
use skylift_model::{Digest, FileMode};

/// Keeps received bytes by digest.
#[derive(Default)]
pub(crate) struct MemorySink {
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
    open: Vec<u8>,
}

impl Sink for MemorySink {
    async fn small(&mut self, digest: Digest, bytes: Vec<u8>) -> io::Result<()> {
        self.blobs.insert(digest, bytes);
        Ok(())
    }

    async fn begin(&mut self, size: u64) -> io::Result<()> {
        self.open = Vec::with_capacity(usize::try_from(size).unwrap());
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open.extend_from_slice(bytes);
        Ok(())
    }

    async fn finish(&mut self, digest: Digest) -> io::Result<()> {
        self.blobs.insert(digest, std::mem::take(&mut self.open));
        Ok(())
    }
}

/// Files by path: mode and bytes.
pub(crate) type Files = BTreeMap<String, (FileMode, Vec<u8>)>;

/// What a stream of frames holds.
pub(crate) fn received(stream: &[u8], limits: &IntakeLimits) -> Result<(Received, Files), IntakeError> {
    let mut sink = MemorySink::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let received = runtime.block_on(receive(stream, limits, &mut sink))?;
    let mut files = Files::new();
    for file in received.manifest.files() {
        let bytes = &sink.blobs[&file.sha256];
        assert_eq!(Digest::of(bytes), file.sha256);
        assert_eq!(bytes.len() as u64, file.size);
        files.insert(file.path.to_string(), (file.mode, bytes.clone()));
    }
    Ok((received, files))
}

/// The frames of an unpacked archive.
pub(crate) fn frames_of(archive: &[u8], limits: &IntakeLimits) -> Vec<u8> {
    let spool = tempfile::tempdir().unwrap();
    let mut stream = Vec::new();
    unpack(archive, &mut stream, limits, spool.path()).unwrap();
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0, "something was left on disk");
    stream
}

/// Unpacks an archive and receives what comes out.
pub(crate) fn unpacked_within(archive: &[u8], limits: &IntakeLimits) -> Result<(Received, Files), IntakeError> {
    received(&frames_of(archive, limits), limits)
}

/// As [`unpacked_within`] the default limits.
pub(crate) fn unpacked(archive: &[u8]) -> Result<(Received, Files), IntakeError> {
    unpacked_within(archive, &IntakeLimits::default())
}

/// The refusal that unpacking an archive ends with.
pub(crate) fn refused(archive: &[u8]) -> Refusal {
    match unpacked(archive) {
        Err(error) => error.as_refusal().unwrap_or_else(|| panic!("not the user's failure: {error}")),
        Ok((_, files)) => panic!("taken: {:?}", files.keys().collect::<Vec<_>>()),
    }
}

/// The names of what an archive holds, in order.
pub(crate) fn names(archive: &[u8]) -> Vec<String> {
    unpacked(archive).unwrap().1.into_keys().collect()
}
