//! From the object store into the folder: once, however many ask, and never damaged.

use std::io::Seek;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::BytesMut;
use skylift_model::Digest;
use skylift_model::digest::Hasher;
use tokio::time::Instant;

use super::{Failure, Flight, Remote};
use crate::directory::{Partial, Stored};
use crate::error::{BlobError, failed};
use crate::s3::{Arriving, Fault, blob_key, next_piece};

/// How often a blob is asked for that comes back damaged.
const TRIES: usize = 2;
/// How many bytes are gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

impl Remote {
    /// Opens a blob; `None` where there is none.
    pub(crate) async fn open_file(self: &Arc<Self>, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        if let Some(stored) = self.cached(digest).await? {
            return Ok(Some(stored));
        }
        // In a task of its own: whoever asked may go away, others wait for the same, and nothing must be left behind. Where
        // the store was opened: who asks may be a thread that serves, and has no time to receive and to hash.
        let (remote, digest) = (self.clone(), *digest);
        let fetched = self.runtime.spawn(async move { remote.open_first(&digest).await });
        fetched.await.map_err(|_| BlobError::Interrupted)?
    }

    async fn open_first(self: &Arc<Self>, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let asked = Instant::now();
        let mut flight = self.flight(digest).lock_owned().await;
        let opened = match self.cached(digest).await? {
            Some(stored) => Ok(Some(stored)),
            None => match failed_since(asked, &flight) {
                Some(error) => Err(error),
                None => self.fetch_file(digest).await,
            },
        };
        note_failure(&mut flight, &opened);
        self.land(digest);
        opened
    }

    /// The bytes of a blob; `None` where there is none. Needs no room on the disk.
    pub(crate) async fn get(self: &Arc<Self>, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        if let Some(bytes) = self.cached_bytes(digest, bytes_max).await? {
            return Ok(Some(bytes));
        }
        let (remote, digest) = (self.clone(), *digest);
        let fetched = self.runtime.spawn(async move { remote.get_first(&digest, bytes_max).await });
        fetched.await.map_err(|_| BlobError::Interrupted)?
    }

    async fn get_first(self: &Arc<Self>, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let asked = Instant::now();
        let mut flight = self.flight(digest).lock_owned().await;
        let got = match self.cached_bytes(digest, bytes_max).await? {
            Some(bytes) => Ok(Some(bytes)),
            None => match failed_since(asked, &flight) {
                Some(error) => Err(error),
                None => self.fetch_bytes(digest, bytes_max).await,
            },
        };
        note_failure(&mut flight, &got);
        self.land(digest);
        got
    }

    async fn cached(self: &Arc<Self>, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        let (remote, digest) = (self.clone(), *digest);
        let found = tokio::task::spawn_blocking(move || remote.cache.open_file(&digest)).await;
        let found = found.map_err(|_| BlobError::Interrupted)?;
        // A folder that cannot be read is as good as an empty one.
        let found = found.unwrap_or_else(|error| lost(&error));
        self.hits.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        Ok(found)
    }

    async fn cached_bytes(self: &Arc<Self>, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let (remote, digest) = (self.clone(), *digest);
        let found = tokio::task::spawn_blocking(move || remote.cache.get(&digest, bytes_max)).await;
        let found = match found.map_err(|_| BlobError::Interrupted)? {
            Err(error @ BlobError::TooLarge { .. }) => return Err(error),
            found => found.unwrap_or_else(|error| lost(&error)),
        };
        self.hits.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        Ok(found)
    }

    async fn fetch_file(self: &Arc<Self>, digest: &Digest) -> Result<Option<Stored>, BlobError> {
        for _ in 0..TRIES {
            let Some(mut partial) = self.download(digest).await? else {
                self.is_lost(digest).await;
                return Ok(None);
            };
            let hasher = std::mem::replace(&mut partial.hasher, Hasher::new());
            if hasher.finish() != *digest {
                self.note_corrupt(digest);
                let _ = std::fs::remove_file(&partial.path);
                continue;
            }
            // The file is ours whatever becomes of its name.
            let Partial { path, file, size, .. } = partial;
            let rewound = file.try_clone().and_then(|mut file| file.rewind().map(|()| file));
            let open = rewound.map_err(failed("open", &path))?;
            let digest = *digest;
            self.keeping(move |remote| remote.cache.adopt(path, file, size, &digest)).await;
            self.is_whole(&digest).await;
            return Ok(Some(Stored { file: open, size }));
        }
        self.is_lost(digest).await;
        Err(BlobError::Corrupt(*digest))
    }

    async fn fetch_bytes(self: &Arc<Self>, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let key = blob_key(digest);
        let mut patience = self.s3.patience(format!("read {key}"));
        let mut corrupt = 0;
        while corrupt < TRIES {
            let fault = match self.begin(digest, &key).await {
                Ok(None) => {
                    self.is_lost(digest).await;
                    return Ok(None);
                }
                Ok(Some(arriving)) if arriving.size > bytes_max => {
                    return Err(BlobError::TooLarge { digest: *digest, size: arriving.size, bytes_max });
                }
                Ok(Some(arriving)) => {
                    let size = usize::try_from(arriving.size).unwrap_or(usize::MAX);
                    match self.s3.whole(arriving.body, size).await {
                        Ok(bytes) if Digest::of(&bytes) == *digest => {
                            self.is_whole(digest).await;
                            return Ok(Some(self.keep_bytes(bytes.to_vec()).await));
                        }
                        Ok(_) => {
                            self.note_corrupt(digest);
                            corrupt += 1;
                            continue;
                        }
                        Err(fault) => fault,
                    }
                }
                Err(fault) => fault,
            };
            patience.after(fault).await?;
        }
        self.is_lost(digest).await;
        Err(BlobError::Corrupt(*digest))
    }

    async fn keep_bytes(self: &Arc<Self>, bytes: Vec<u8>) -> Vec<u8> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        self.fetched_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let kept = [bytes.clone()];
        self.keeping(move |remote| remote.cache.put_all(&kept)).await;
        bytes
    }

    /// Streams a blob into a new file, hashing; again from the beginning where it breaks off.
    async fn download(self: &Arc<Self>, digest: &Digest) -> Result<Option<Partial>, BlobError> {
        let key = blob_key(digest);
        let (path, file) = self.cache.folder.create_partial()?;
        let mut partial = Partial { path, file, hasher: Hasher::new(), size: 0 };
        let mut patience = self.s3.patience(format!("read {key}"));
        loop {
            let fault = match self.begin(digest, &key).await {
                Ok(None) => {
                    let _ = std::fs::remove_file(&partial.path);
                    return Ok(None);
                }
                Ok(Some(arriving)) => match self.receive(arriving, &mut partial).await {
                    Ok(()) => return Ok(Some(partial)),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            if let Err(error) = patience.after(fault).await {
                let _ = std::fs::remove_file(&partial.path);
                return Err(error);
            }
        }
    }

    /// Begins to read a blob, from the trash where it went there by mistake.
    async fn begin(&self, digest: &Digest, key: &str) -> Result<Option<Arriving>, Fault> {
        if let Some(arriving) = self.s3.begin(key).await? {
            return Ok(Some(arriving));
        }
        if self.restore(digest).await.map_err(Fault::Final)? { self.s3.begin(key).await } else { Ok(None) }
    }

    async fn receive(self: &Arc<Self>, arriving: Arriving, partial: &mut Partial) -> Result<(), Fault> {
        let io = |error: std::io::Error, partial: &Partial| Fault::Final(failed("write", &partial.path)(error));
        partial.file.set_len(0).and_then(|()| partial.file.rewind()).map_err(|error| io(error, partial))?;
        (partial.size, partial.hasher) = (0, Hasher::new());
        let (mut body, size) = (arriving.body, arriving.size);
        let mut gathered = BytesMut::with_capacity(WRITE_BYTES);
        loop {
            let piece = next_piece(&mut body, self.s3.timeout()).await?;
            let is_last = piece.is_none();
            gathered.extend_from_slice(&piece.unwrap_or_default());
            if is_last || gathered.len() >= WRITE_BYTES {
                let bytes = gathered.split();
                partial.size += bytes.len() as u64;
                let mut file = partial.file.try_clone().map_err(|error| io(error, partial))?;
                let mut hasher = std::mem::replace(&mut partial.hasher, Hasher::new());
                let written = tokio::task::spawn_blocking(move || {
                    hasher.update(&bytes);
                    skylift_durable::write_all(&mut file, &bytes).map(|()| hasher)
                });
                let written = written.await.map_err(|_| Fault::Final(BlobError::Interrupted))?;
                partial.hasher = written.map_err(|error| io(error, partial))?;
            }
            if is_last {
                break;
            }
        }
        if partial.size != size {
            return Err(Fault::Again(format!("{} of {size} bytes", partial.size)));
        }
        self.fetched.fetch_add(1, Ordering::Relaxed);
        self.fetched_bytes.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    fn note_corrupt(&self, digest: &Digest) {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        self.suspect(digest);
        tracing::error!(blob = %digest, "the object store gave bytes that are not those of the blob; they are refused");
    }

    fn flight(&self, digest: &Digest) -> Arc<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.entry(*digest).or_default().clone()
    }

    /// Forgets a flight that nobody else waits for.
    fn land(&self, digest: &Digest) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // One is in the map, one is held by the caller.
        if flights.get(digest).is_some_and(|flight| Arc::strong_count(flight) <= 2) {
            flights.remove(digest);
        }
    }
}

/// What those who waited are told where whoever went first found no object store: each of them trying in turn would keep
/// the last one waiting for as long as there are others.
fn failed_since(asked: Instant, last: &Option<Failure>) -> Option<BlobError> {
    let failure = last.as_ref().filter(|failure| failure.at >= asked)?;
    Some(BlobError::Unavailable { step: failure.step.clone(), why: failure.why.clone() })
}

fn note_failure<T>(last: &mut Option<Failure>, done: &Result<T, BlobError>) {
    if let Err(BlobError::Unavailable { step, why }) = done {
        *last = Some(Failure { at: Instant::now(), step: step.clone(), why: why.clone() });
    }
}

fn lost<T>(error: &BlobError) -> Option<T> {
    tracing::warn!(error = %error, "the cache of blobs cannot be read");
    None
}
