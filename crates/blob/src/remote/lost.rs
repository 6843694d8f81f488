//! Which blobs the object store cannot give: whoever reads one that is missing or damaged leaves a note for the others,
//! `lost/abcdef…`, an empty object.
//!
//! The note only makes uploads ask for the bytes again; the object itself is left alone, since others may store it anew at any
//! time. A note is void when the blob was stored after it, and goes when somebody who knows of it stores the blob or reads it
//! whole. One too many costs one upload.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use skylift_durable::{Defence, left_out};
use skylift_model::Digest;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{AT_ONCE, Known, Remote};
use crate::error::BlobError;
use crate::s3::{S3, blob_key};

const NOTES: &str = "lost/";
/// How long whoever reads a lost blob waits for its note.
const NOTE_WITHIN: Duration = Duration::from_secs(2);
/// A note older than this may have been taken away by others.
const NOTED_FOR: Duration = Duration::from_secs(60);

/// Why somebody believes that a blob cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It came damaged once; that may have happened on its way.
    Suspected,
    /// There is, or was at that time, a note for everybody.
    Noted(Instant),
}

impl Remote {
    /// Notes for everybody that a blob cannot be had. An object store that does not take the note is no error.
    pub(super) async fn is_lost(&self, digest: &Digest) {
        let is_fresh = |doubt: &Doubt| matches!(doubt, Doubt::Noted(at) if at.elapsed() < NOTED_FOR);
        if left_out(Defence::Repair) || self.known().get(digest).is_some_and(is_fresh) {
            return;
        }
        tracing::error!(blob = %digest, "a stored file is damaged or missing; deploying the folder it came from again repairs it");
        let key = note_key(digest);
        match timeout(NOTE_WITHIN, self.s3.put(&key, Bytes::new())).await {
            Ok(Ok(())) => drop(self.known().insert(*digest, Doubt::Noted(Instant::now()))),
            Ok(Err(error)) => tracing::warn!(blob = %digest, error = %error, "it cannot be noted that a blob is lost"),
            Err(_) => tracing::warn!(blob = %digest, "it cannot be noted in time that a blob is lost"),
        }
    }

    /// A blob was stored or read whole.
    pub(super) async fn is_whole(&self, digest: &Digest) {
        let doubt = self.known().remove(digest);
        if let Some(Doubt::Noted(_)) = doubt
            && let Err(error) = self.s3.delete(&note_key(digest)).await
        {
            // The blob is younger than its note: nobody is misled.
            tracing::warn!(blob = %digest, error = %error, "the note of a blob that is whole again cannot be removed");
        }
    }

    /// Whether the blob, if it is there, must not be taken for whole.
    pub(super) async fn is_doubted(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.known().contains_key(digest) || is_noted(&self.s3, digest).await?)
    }

    /// See [`crate::Blobs::lost`].
    pub(crate) async fn lost(&self) -> Result<Vec<Digest>, BlobError> {
        let noted = self.notes().await?;
        self.still_lost(noted).await
    }

    /// See [`crate::Blobs::lost_of`].
    pub(crate) async fn lost_of(&self, wanted: &[(Digest, u64)]) -> Result<Vec<Digest>, BlobError> {
        if left_out(Defence::Repair) {
            return Ok(Vec::new());
        }
        let wanted: HashSet<Digest> = wanted.iter().map(|(digest, _)| *digest).collect();
        let noted = self.notes().await?;
        self.still_lost(noted.into_iter().filter(|digest| wanted.contains(digest)).collect()).await
    }

    pub(crate) fn lost_count(&self) -> usize {
        self.known().values().filter(|doubt| matches!(doubt, Doubt::Noted(_))).count()
    }

    /// See [`crate::Blobs::forget_lost`].
    pub(crate) async fn forget_lost(&self, digests: &[Digest]) -> Result<(), BlobError> {
        for digest in digests {
            self.known().remove(digest);
            self.s3.delete(&note_key(digest)).await?;
        }
        Ok(())
    }

    /// Every blob with a note. What this process knows is what is found.
    async fn notes(&self) -> Result<Vec<Digest>, BlobError> {
        let asked = Instant::now();
        let keys = self.s3.list(NOTES).await?;
        let noted: Vec<Digest> = keys.iter().filter_map(|(key, _)| key.strip_prefix(NOTES)?.parse().ok()).collect();
        let mut known = self.known();
        // What was noted while the list was on its way may be missing in it.
        known.retain(|_, doubt| !matches!(doubt, Doubt::Noted(at) if *at < asked));
        known.extend(noted.iter().map(|digest| (*digest, Doubt::Noted(Instant::now()))));
        drop(known);
        Ok(noted)
    }

    /// Those that were not stored after they were noted.
    async fn still_lost(&self, noted: Vec<Digest>) -> Result<Vec<Digest>, BlobError> {
        let mut lost = Vec::new();
        for some in noted.chunks(AT_ONCE) {
            let mut looks = JoinSet::new();
            for digest in some.iter().copied() {
                let s3 = self.s3.clone();
                looks.spawn(async move { Ok::<_, BlobError>((digest, is_noted(&s3, &digest).await?)) });
            }
            while let Some(looked) = looks.join_next().await {
                match looked.map_err(|_| BlobError::Interrupted)?? {
                    (digest, true) => lost.push(digest),
                    (digest, false) => self.is_whole(&digest).await,
                }
            }
        }
        Ok(lost)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes for this process that a blob came damaged.
    pub(super) fn suspect(&self, digest: &Digest) {
        self.known().entry(*digest).or_insert(Doubt::Suspected);
    }
}

/// Whether there is a note that the blob is not younger than. Times of objects are cut to the second: of the same second, it
/// counts as damaged.
async fn is_noted(s3: &Arc<S3>, digest: &Digest) -> Result<bool, BlobError> {
    let Some(note) = s3.head(&note_key(digest)).await? else { return Ok(false) };
    let blob = s3.head(&blob_key(digest)).await?;
    Ok(blob.is_none_or(|blob| blob.stored <= note.stored))
}

fn note_key(digest: &Digest) -> String {
    format!("{NOTES}{digest}")
}
