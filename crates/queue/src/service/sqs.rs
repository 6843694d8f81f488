//! SQS, or what speaks as it does, as the queue: JSON over HTTP, signed. A standard queue: messages may come twice and in any order, and
//! all are of one priority.
//!
//! It cannot be asked which runs it knows. What still waits a minute after it was announced, or first seen here, counts as unknown; then
//! again after two, four, … minutes ([`SqsSettings::again_seconds`]). A message that is too many is found to be so by its row.

mod knows;
mod settings;
mod speak;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use skylift_blob::{BlobError, Signed};

use super::{Depth, Notice, Received, Served, Service, ServiceError};
use knows::Knows;
pub use settings::SqsSettings;

/// How many messages one request is about, at most.
const BATCH: usize = 10;
/// How many requests are on their way at once.
const AT_ONCE: usize = 8;
/// How long an empty queue is waited for, in seconds: a request that does not wait asks only some of SQS's servers.
const WAIT_S: u64 = 1;
/// Longer than this nothing is delayed, or hidden, in seconds.
const DELAY_S_MAX: u64 = 900;

/// A queue at SQS.
pub struct Sqs {
    signed: Signed,
    queue_url: String,
    knows: Knows,
}

impl Sqs {
    /// Prepares, without connecting.
    ///
    /// # Errors
    /// Where the settings cannot work.
    pub fn new(settings: &SqsSettings) -> Result<Self, BlobError> {
        let mistakes = settings.mistakes();
        if !mistakes.is_empty() {
            return Err(BlobError::Settings(mistakes.join("\n")));
        }
        let signed = Signed::new(settings.signed())?;
        Ok(Self {
            signed,
            queue_url: settings.queue_url.clone(),
            knows: Knows::new(Duration::from_secs(settings.again_seconds)),
        })
    }

    /// Asks for many, ten at a time; every request is made, and the first that failed is told.
    async fn ask_each<T>(&self, action: &str, of: &[T], entry: impl Fn(&T) -> Value) -> Result<(), ServiceError> {
        let entries = |some: &[T]| -> Vec<Value> {
            let with_id = some.iter().enumerate().map(|(place, one)| {
                let mut entry = entry(one);
                if let Some(fields) = entry.as_object_mut() {
                    fields.insert("Id".to_owned(), json!(place.to_string()));
                }
                entry
            });
            with_id.collect()
        };
        let asked = of.chunks(BATCH).map(|some| self.ask_batch(action, json!({ "Entries": entries(some) })));
        let answers: Vec<_> = stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        answers.into_iter().collect()
    }

    /// As many as are there, ten at most.
    async fn receive_some(&self, most: usize, lease: Duration, wait_s: u64) -> Result<Vec<Received>, ServiceError> {
        let answer = self
            .ask(
                "ReceiveMessage",
                json!({
                    "MaxNumberOfMessages": most.clamp(1, BATCH),
                    "VisibilityTimeout": seconds(lease),
                    "WaitTimeSeconds": wait_s,
                }),
            )
            .await?;
        let messages = answer.get("Messages").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(messages.iter().filter_map(received).collect())
    }
}

impl Service for Sqs {
    fn announce<'s>(&'s self, notices: &'s [Notice]) -> Served<'s, ()> {
        Box::pin(async move {
            let entry = |notice: &Notice| json!({ "MessageBody": notice.id, "DelaySeconds": seconds(notice.after) });
            let announced = self.ask_each("SendMessageBatch", notices, entry).await;
            match &announced {
                Ok(()) => self.knows.announced(notices),
                Err(_) => self.knows.not_announced(notices),
            }
            announced
        })
    }

    fn receive<'s>(&'s self, _: &'s str, most: usize, lease: Duration) -> Served<'s, Vec<Received>> {
        Box::pin(async move {
            let mut received = self.receive_some(most, lease, WAIT_S).await?;
            let more = most.saturating_sub(received.len()).min(BATCH * AT_ONCE);
            if received.len() < BATCH || more == 0 {
                return Ok(received);
            }
            let sizes = (0..more).step_by(BATCH).map(|place| (more - place).min(BATCH));
            let asked: Vec<_> = sizes.map(|size| self.receive_some(size, lease, 0)).collect();
            let answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
            // What has come is not lost because another request failed.
            received.extend(answers.into_iter().filter_map(Result::ok).flatten());
            Ok(received)
        })
    }

    fn renew<'s>(&'s self, _: &'s str, held: &'s [Received], lease: Duration) -> Served<'s, ()> {
        let entry = move |held: &Received| hidden(held, lease);
        Box::pin(async move { self.ask_each("ChangeMessageVisibilityBatch", held, entry).await })
    }

    fn acknowledge<'s>(&'s self, held: &'s [Received]) -> Served<'s, ()> {
        let entry = |held: &Received| json!({ "ReceiptHandle": held.receipt });
        Box::pin(async move { self.ask_each("DeleteMessageBatch", held, entry).await })
    }

    fn give_back<'s>(&'s self, held: &'s [(Received, Duration)]) -> Served<'s, ()> {
        let entry = |(held, after): &(Received, Duration)| hidden(held, *after);
        Box::pin(async move { self.ask_each("ChangeMessageVisibilityBatch", held, entry).await })
    }

    fn unknown<'s>(&'s self, waiting: &'s [Notice]) -> Served<'s, Vec<Notice>> {
        Box::pin(async move { Ok(self.knows.overdue(waiting)) })
    }

    fn depth(&self) -> Served<'_, Depth> {
        Box::pin(async {
            let names = ["", "NotVisible", "Delayed"].map(|kind| format!("ApproximateNumberOfMessages{kind}"));
            let answer = self.ask("GetQueueAttributes", json!({ "AttributeNames": names })).await?;
            let count = |name: &String| answer.get("Attributes")?.get(name)?.as_str()?.parse().ok();
            match names.each_ref().map(count) {
                [Some(visible), Some(in_flight), Some(delayed)] => Ok(Depth { visible, in_flight, delayed }),
                _ => Err(ServiceError { service: speak::NAME, why: "an answer without its counts".to_owned() }),
            }
        })
    }
}

fn hidden(held: &Received, for_: Duration) -> Value {
    json!({ "ReceiptHandle": held.receipt, "VisibilityTimeout": seconds(for_) })
}

/// What is no run's is somebody else's, and left alone.
fn received(message: &Value) -> Option<Received> {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let (body, receipt) = (text("Body")?, text("ReceiptHandle")?.to_owned());
    match body.parse() {
        Ok(id) => Some(Received { id, receipt }),
        Err(_) => {
            tracing::warn!("the queue of runs has a message that is no run's");
            None
        }
    }
}

/// Whole seconds, rather too many.
fn seconds(duration: Duration) -> u64 {
    let more = u64::from(duration.subsec_nanos() > 0);
    (duration.as_secs() + more).min(DELAY_S_MAX)
}
