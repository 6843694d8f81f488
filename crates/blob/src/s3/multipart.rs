//! Large objects, in parts: each is tried again by itself, and none needs the whole in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinSet;

use super::answer::element;
use super::send::Ask;
use super::{S3, header_of};
use crate::error::{BlobError, failed};

/// Objects larger than this go in parts.
pub(crate) const WHOLE_BYTES_MAX: u64 = 16 << 20;
const PART_BYTES: u64 = 8 << 20;
/// How many parts of one object are on their way at once.
const PARTS_AT_ONCE: usize = 3;

impl S3 {
    /// Stores the bytes of a file, durable when this returns.
    pub(crate) async fn put_file(self: &Arc<Self>, key: &str, file: Arc<File>, size: u64) -> Result<(), BlobError> {
        if size <= WHOLE_BYTES_MAX {
            return self.put(key, read_part(file, 0, size).await?).await;
        }
        let step = format!("store {key}");
        let mut ask = Ask::new(Method::POST, key);
        ask.query.push(("uploads", String::new()));
        let begun = self.ask_xml(&step, &ask, "InitiateMultipartUploadResult").await?;
        let upload = begun.as_deref().and_then(|begun| element(begun, "UploadId")).map(str::to_owned);
        let upload = upload.ok_or_else(|| unfinished(&step, "an answer without an upload"))?;
        let stored = self.put_parts(key, &upload, file, size).await;
        if stored.is_err() {
            let mut abort = Ask::new(Method::DELETE, key);
            abort.query.push(("uploadId", upload));
            // Otherwise its parts would be paid for until the bucket's own rule removes them.
            let _ = self.once(&abort).await;
        }
        stored
    }

    async fn put_parts(self: &Arc<Self>, key: &str, upload: &str, file: Arc<File>, size: u64) -> Result<(), BlobError> {
        let step = format!("store {key}");
        let count = size.div_ceil(PART_BYTES);
        let mut tags = vec![String::new(); usize::try_from(count).unwrap_or(0)];
        let mut parts = JoinSet::new();
        let mut next = 0;
        loop {
            while next < count && parts.len() < PARTS_AT_ONCE {
                let (s3, file, key, upload) = (self.clone(), file.clone(), key.to_owned(), upload.to_owned());
                let (index, first) = (next, next * PART_BYTES);
                let length = PART_BYTES.min(size - first);
                parts.spawn(async move {
                    let bytes = read_part(file, first, length).await?;
                    s3.put_part(&key, &upload, index + 1, bytes).await.map(|tag| (index, tag))
                });
                next += 1;
            }
            match parts.join_next().await {
                Some(Ok(Ok((index, tag)))) => {
                    if let Some(place) = usize::try_from(index).ok().and_then(|index| tags.get_mut(index)) {
                        *place = tag;
                    }
                }
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(_)) => return Err(BlobError::Interrupted),
                None => break,
            }
        }
        let parts = tags
            .iter()
            .enumerate()
            .map(|(index, tag)| format!("<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", index + 1));
        let list: String = parts.collect();
        let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let mut ask = Ask::with_body(Method::POST, key, body.into());
        ask.query.push(("uploadId", upload.to_owned()));
        let done = self.ask_xml(&step, &ask, "CompleteMultipartUploadResult").await?;
        // `None`: an earlier attempt whose answer was lost completed it, or it is lost.
        let seen = self.head(key).await?.map(|seen| seen.size);
        match (done, seen) {
            (_, Some(stored)) if stored == size => Ok(()),
            _ => Err(unfinished(&step, "its parts were not put together")),
        }
    }

    async fn put_part(&self, key: &str, upload: &str, number: u64, bytes: Bytes) -> Result<String, BlobError> {
        let step = format!("store part {number} of {key}");
        let mut ask = Ask::put(key, bytes);
        ask.query.push(("partNumber", number.to_string()));
        ask.query.push(("uploadId", upload.to_owned()));
        let response = self.ask(&step, &ask).await?;
        let tag = header_of(&response, http::header::ETAG).filter(|_| response.status() == StatusCode::OK);
        let tag = tag.ok_or_else(|| unfinished(&step, "an answer without a tag"))?;
        Ok(tag.replace('&', "&amp;").replace('<', "&lt;"))
    }
}

fn unfinished(step: &str, why: &str) -> BlobError {
    BlobError::Unavailable { step: step.to_owned(), why: why.to_owned() }
}

async fn read_part(file: Arc<File>, first: u64, length: u64) -> Result<Bytes, BlobError> {
    let read = move || {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, first).map(|()| Bytes::from(bytes))
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(|_| BlobError::Interrupted)?;
    read.map_err(failed("read", Path::new("a blob on its way")))
}
