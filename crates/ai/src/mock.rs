//! An engine that needs no model: the same question always gets the same answer.
//!
//! What it says means nothing, but everything around it is as with a model: pieces, counts, limits, stops, seeds, vectors whose nearness
//! follows the words.

mod embed;
mod prompt;
mod text;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use serde_json::{Map, Value, json};
use skylift_model::{Clock, Digest, Timestamp};
use tokio::time::Instant;

use crate::models::whole;
use crate::{Answer, Ask, Endpoint, Engine, Form, Models, Trouble};
use prompt::Prompt;
use text::Text;

/// What it is called where the settings name no model.
const NAME: &str = "mock";
/// The version of Ollama whose interface this is.
const INTERFACE: &str = "0.6.0";
/// When its models were made.
const MADE: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The engine.
#[derive(Clone, Debug)]
pub struct Mock {
    models: Models,
    clock: Clock,
}

impl Mock {
    /// One that answers to these names; without any, to `mock`.
    pub fn new(models: &Models, clock: Clock) -> Self {
        let models = if models.names().is_empty() { Models::new([NAME]) } else { models.clone() };
        Self { models, clock }
    }

    fn begin(&self, ask: &Ask) -> Result<Answer, Trouble> {
        let began = Instant::now();
        if !ask.endpoint.is_read() && !self.models.allow(&ask.model) {
            return Err(Trouble::UnknownModel(ask.model.clone()));
        }
        match ask.endpoint {
            Endpoint::Generate | Endpoint::Chat => self.say(ask, began),
            Endpoint::Embed => embed::answer(ask, began),
            Endpoint::Embeddings => embed::answer_one(ask),
            Endpoint::Show => Ok(Answer::whole(&self.show(&ask.model))),
            Endpoint::Tags => Ok(Answer::whole(&self.tags())),
            Endpoint::Version => Ok(Answer::whole(&json!({ "version": INTERFACE }))),
        }
    }

    /// What it has to say, in pieces or at once.
    fn say(&self, ask: &Ask, began: Instant) -> Result<Answer, Trouble> {
        let prompt = Prompt::read(ask)?;
        let text = Text::about(&ask.model, &prompt);
        let created_at = self.clock.now();
        let line = |piece: &str, is_done: bool| {
            let mut line = Map::new();
            line.insert("model".into(), ask.model.clone().into());
            line.insert("created_at".into(), json!(created_at));
            match ask.endpoint {
                Endpoint::Chat => line.insert("message".into(), json!({ "role": "assistant", "content": piece })),
                _ => line.insert("response".into(), piece.into()),
            };
            line.insert("done".into(), is_done.into());
            line
        };
        let last = |piece: &str| {
            let mut last = line(piece, true);
            last.insert("done_reason".into(), text.reason.as_str().into());
            if !text.reason.is_work() {
                return last;
            }
            if ask.endpoint == Endpoint::Generate {
                last.insert("context".into(), json!(text.context(&prompt)));
            }
            let nanos = nanos_since(began);
            let (prompt_nanos, eval_nanos) = (nanos / 4, nanos - nanos / 4);
            for (name, count) in [
                ("total_duration", nanos),
                ("load_duration", 0),
                ("prompt_eval_count", prompt.tokens()),
                ("prompt_eval_duration", prompt_nanos),
                ("eval_count", text.tokens()),
                ("eval_duration", eval_nanos),
            ] {
                last.insert(name.into(), count.into());
            }
            last
        };
        if !ask.is_streamed() {
            return Ok(Answer::whole(&Value::Object(last(&text.whole()))));
        }
        let mut lines: Vec<Result<Bytes, Trouble>> = text.pieces().map(|piece| Ok(bytes(line(piece, false)))).collect();
        lines.push(Ok(bytes(last(""))));
        Ok(Answer { form: Form::Lines, body: Box::pin(stream::iter(lines)) })
    }

    fn tags(&self) -> Value {
        let model = |name: &String| {
            json!({
                "name": name,
                "model": name,
                "modified_at": MADE,
                "size": 0,
                "digest": Digest::of(name.as_bytes()).to_string(),
                "details": details(),
            })
        };
        json!({ "models": self.models.names().iter().map(model).collect::<Vec<_>>() })
    }

    fn show(&self, name: &str) -> Value {
        json!({
            "modelfile": format!("FROM {}", whole(name)),
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": details(),
            "model_info": { "general.architecture": NAME, "mock.embedding_length": embed::LENGTH },
            "capabilities": ["completion", "embedding"],
            "modified_at": MADE,
        })
    }
}

impl Engine for Mock {
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, Trouble>> {
        Box::pin(async move { self.begin(&ask) })
    }
}

fn details() -> Value {
    json!({
        "parent_model": "",
        "format": NAME,
        "family": NAME,
        "families": [NAME],
        "parameter_size": "0",
        "quantization_level": "",
    })
}

fn bytes(line: Map<String, Value>) -> Bytes {
    Bytes::from(format!("{}\n", Value::Object(line)))
}

/// Never none: clients leave out what is 0.
fn nanos_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Numbers that follow from a text alone, one after the other (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn of(text: &[u8]) -> Self {
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(Digest::of(text).as_bytes()) {
            *to = *from;
        }
        Self(u64::from_le_bytes(first))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
