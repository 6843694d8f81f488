//! One effect per key: the key and the answer are recorded in the transaction that has the effect.
//!
//! A client that lost the answer asks again with the same key: whatever died in between, either nothing had happened
//! and it happens then, or the first answer is here.

use skylift_model::{Digest, Timestamp, TokenId};

use crate::session::{Session, params};
use crate::{Store, StoreError, sql};

/// A client's promise that two requests with this key are the same request.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Whose key it is.
    pub token: TokenId,
    /// The client's key.
    pub key: String,
    /// The digest of method, path and body.
    pub request: Digest,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; empty, or JSON.
    pub body: Vec<u8>,
}

/// How a change whose result is a `T` is answered, and which key it happens once for, if the client gave one.
pub struct Once<T> {
    key: Option<Idempotency>,
    answer: Box<dyn FnOnce(&T) -> Answer + Send>,
}

impl<T> Once<T> {
    /// A change that happens once for `key`, and is answered by `answer`, which runs in the transaction.
    pub fn new(key: Option<Idempotency>, answer: impl FnOnce(&T) -> Answer + Send + 'static) -> Self {
        Self { key, answer: Box::new(answer) }
    }
}

impl<T> Default for Once<T> {
    /// A change that nobody made a promise about and nobody is answered: for callers within the platform.
    fn default() -> Self {
        Self::new(None, |_| Answer { status: 204, body: Vec::new() })
    }
}

/// A change that happened, or had happened before.
#[derive(Clone, Debug)]
pub enum Done<T> {
    /// It happened, and is answered like this.
    Now(T, Answer),
    /// It had happened with this key before, and was answered like this.
    Before(Answer),
}

impl<T> Done<T> {
    /// The result, where it happened.
    pub fn made(self) -> Option<T> {
        match self {
            Self::Now(value, _) => Some(value),
            Self::Before(_) => None,
        }
    }
}

impl Store {
    /// Runs one unit of work in a transaction, unless its key says that this was done; durable when this returns.
    pub(crate) async fn write_once<T: Send + 'static>(
        &self,
        once: Once<T>,
        now: Timestamp,
        work: impl FnOnce(&Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Done<T>, StoreError> {
        self.write(move |session| {
            if let Some(key) = &once.key
                && let Some((request, answer)) = find(session, &key.token, &key.key)?
            {
                return if request == key.request {
                    Ok(Done::Before(answer))
                } else {
                    Err(StoreError::IdempotencyMismatch)
                };
            }
            let value = work(session)?;
            let answer = (once.answer)(&value);
            if let Some(key) = &once.key {
                record(session, key, &answer, now)?;
            }
            Ok(Done::Now(value, answer))
        })
        .await
    }

    /// Which request a key was used with, and what it was answered.
    pub async fn answered(&self, token: TokenId, key: String) -> Result<Option<(Digest, Answer)>, StoreError> {
        self.read(move |session| find(session, &token, &key)).await
    }

    /// Remembers the answer to a request that changed no rows, or is harmless to repeat; a key that was used stays as
    /// it is. Returns the answer that holds, which another process may have given before.
    pub async fn remember(&self, key: Idempotency, answer: Answer, now: Timestamp) -> Result<Answer, StoreError> {
        self.write(move |session| match find(session, &key.token, &key.key)? {
            Some((request, given)) if request == key.request => Ok(given),
            Some(_) => Err(StoreError::IdempotencyMismatch),
            None => {
                record(session, &key, &answer, now)?;
                Ok(answer)
            }
        })
        .await
    }
}

fn find(session: &Session, token: &TokenId, key: &str) -> Result<Option<(Digest, Answer)>, StoreError> {
    session.first(
        "SELECT request, status, body FROM idempotency WHERE token = ?1 AND key = ?2",
        &params![token.as_str(), key],
        |row| Ok((sql::digest(row, "request")?, Answer { status: row.get("status")?, body: row.get("body")? })),
    )
}

fn record(session: &Session, key: &Idempotency, answer: &Answer, now: Timestamp) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO idempotency (token, key, request, status, body, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &params![
            key.token.as_str(),
            &key.key,
            key.request.as_bytes(),
            i64::from(answer.status),
            &answer.body,
            now.as_millis()
        ],
    )?;
    Ok(())
}
