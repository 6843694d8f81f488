//! One request to SQS: `AmazonSQS.{action}` as JSON.

use serde_json::{Value, json};

use super::Sqs;
use crate::service::ServiceError;

pub(super) const NAME: &str = "SQS";

impl Sqs {
    /// Asks once.
    pub(super) async fn ask(&self, action: &str, mut body: Value) -> Result<Value, ServiceError> {
        let failed = |why: String| ServiceError { service: NAME, why: format!("{action}: {why}") };
        if let Some(fields) = body.as_object_mut() {
            fields.insert("QueueUrl".to_owned(), json!(self.queue_url));
        }
        let target = format!("AmazonSQS.{action}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let answered = self.signed.post(&headers, body.to_string().into_bytes()).await.map_err(failed)?;
        let said: Option<Value> = match answered.body.is_empty() {
            true => Some(json!({})),
            false => serde_json::from_slice(&answered.body).ok(),
        };
        match (answered.status, said) {
            (200..=299, Some(said)) => Ok(said),
            (status, said) => Err(failed(format!("{status} {}", code(said.as_ref())))),
        }
    }

    /// Asks about several at once: where one of them is refused, so is all of it. What is not there any more is no failure.
    pub(super) async fn ask_batch(&self, action: &str, body: Value) -> Result<(), ServiceError> {
        let answer = self.ask(action, body).await?;
        let failed = answer.get("Failed").and_then(Value::as_array).into_iter().flatten();
        let serious = failed.filter_map(|one| one.get("Code").and_then(Value::as_str)).find(|code| !is_gone(code));
        match serious {
            None => Ok(()),
            Some(code) => Err(ServiceError { service: NAME, why: format!("{action}: {}", short(code)) }),
        }
    }
}

/// Whether a message was received again, deleted, or may be received already.
fn is_gone(code: &str) -> bool {
    ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"].iter().any(|gone| code.ends_with(gone))
}

/// The error's name: what precedes it, and what follows, differs from server to server.
fn code(said: Option<&Value>) -> String {
    short(said.and_then(|said| said.get("__type")).and_then(Value::as_str).unwrap_or_default())
}

fn short(code: &str) -> String {
    code.rsplit('#').next().unwrap_or_default().chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_its_name() {
        let said = json!({ "__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "…" });
        assert_eq!(code(Some(&said)), "QueueDoesNotExist");
        assert_eq!(code(None), "");
        assert!(is_gone("ReceiptHandleIsInvalid") && !is_gone("InternalError"));
    }
}
