//! What the mock is asked, and how.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Ask, Trouble, tokens};

/// All that decides over an answer.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// Everything that is said, in its order, with who says it.
    said: Vec<(String, String)>,
    /// What the last answer was about, as it told it.
    context: Vec<u32>,
    pub(super) options: Options,
    /// Whether JSON is wanted.
    pub(super) wants_json: bool,
    /// Whether the model is to be let go.
    pub(super) unloads: bool,
}

/// Of the options of a request, those that a mock has a use for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    pub(super) seed: Option<i64>,
    /// How many tokens at most; less than 1 for as many as there are.
    pub(super) num_predict: Option<i64>,
    pub(super) stop: Option<OneOrMore>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    images: Option<Vec<String>>,
}

impl Prompt {
    pub(super) fn read(ask: &Ask) -> Result<Self, Trouble> {
        let fields = &ask.fields;
        let mut prompt = Self {
            said: Vec::new(),
            context: field(fields, "context")?.unwrap_or_default(),
            options: field(fields, "options")?.unwrap_or_default(),
            wants_json: fields.get("format").is_some_and(|format| !matches!(format, Value::Null) && *format != ""),
            unloads: fields.get("keep_alive").is_some_and(|kept| *kept == 0 || *kept == "0" || *kept == "0s"),
        };
        for name in ["system", "suffix"] {
            prompt.say(name, field(fields, name)?);
        }
        for message in field::<Vec<Message>>(fields, "messages")?.unwrap_or_default() {
            let Message { role, content, images } = message;
            if !matches!(role.as_str(), "system" | "user" | "assistant" | "tool") {
                return Err(Trouble::Malformed(format!("`{role}` is no role: system, user, assistant or tool")));
            }
            prompt.see(images);
            prompt.said.push((role, content));
        }
        prompt.see(field(fields, "images")?);
        prompt.say("user", field(fields, "prompt")?);
        Ok(prompt)
    }

    fn say(&mut self, who: &str, text: Option<String>) {
        self.said.extend(text.filter(|text| !text.is_empty()).map(|text| (who.to_owned(), text)));
    }

    fn see(&mut self, images: Option<Vec<String>>) {
        self.said.extend(images.unwrap_or_default().into_iter().map(|image| ("image".to_owned(), image)));
    }

    /// What is to be answered; nothing where the model is only to be loaded or let go.
    pub(super) fn last(&self) -> Option<&str> {
        self.said
            .iter()
            .rfind(|(who, _)| !matches!(who.as_str(), "system" | "suffix" | "image"))
            .map(|(_, text)| text.as_str())
    }

    /// Everything that an answer follows from.
    pub(super) fn bytes(&self, model: &str) -> Vec<u8> {
        let mut bytes = format!("{model}\n{:?}\n{:?}\n", self.options.seed, self.context).into_bytes();
        for (who, text) in &self.said {
            bytes.extend(format!("{who} {}\n{text}\n", text.len()).into_bytes());
        }
        bytes
    }

    pub(super) fn context(&self) -> &[u32] {
        &self.context
    }

    /// The pieces of what is said; of an image there are none.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &str> {
        self.said.iter().filter(|(who, _)| who != "image").flat_map(|(_, text)| tokens::split(text))
    }

    /// How many tokens are read.
    pub(super) fn tokens(&self) -> u64 {
        u64::try_from(self.pieces().count() + self.context.len()).unwrap_or(u64::MAX)
    }
}

fn field<T: for<'de> Deserialize<'de>>(fields: &Map<String, Value>, name: &str) -> Result<Option<T>, Trouble> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    Option::<T>::deserialize(value).map_err(|error| Trouble::Malformed(format!("`{name}`: {error}")))
}
