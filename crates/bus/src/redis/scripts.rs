//! Scripts in the Redis of the bus, for who keeps more there than messages. A connection of their own: nobody waits for the bus's.

use std::io;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Backoff;
use super::connect::{Connection, Dial};
use super::resp::{self, Value};
use super::settings::BusSettings;

/// Runs scripts, over one connection that is opened when it is needed. After a failure none is opened for a little, so that whoever
/// asks meanwhile knows at once.
pub struct Scripts {
    dial: Dial,
    link: Mutex<Link>,
}

struct Link {
    /// Taken by whoever asks and put back with the answer read: one that was given up halfway is not used again.
    connection: Option<Connection>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl Scripts {
    /// Prepares, without connecting.
    ///
    /// # Errors
    /// Where the settings cannot work.
    pub fn new(settings: &BusSettings) -> io::Result<Self> {
        let link = Link { connection: None, backoff: Backoff::new(), not_before: None };
        Ok(Self { dial: Dial::new(settings)?, link: Mutex::new(link) })
    }

    /// Runs a script with one key; what it answers is a list of texts and numbers, or nothing.
    ///
    /// # Errors
    /// Where Redis does not answer within a few seconds, did not a moment ago, or the script fails.
    pub async fn run(&self, script: &str, key: &str, words: &[String]) -> io::Result<Vec<String>> {
        let mut all = vec!["EVAL", script, "1", key];
        all.extend(words.iter().map(String::as_str));
        let mut bytes = Vec::new();
        resp::command(&mut bytes, &all);
        let mut link = self.link.lock().await;
        if link.not_before.is_some_and(|time| Instant::now() < time) {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "Redis did not answer a moment ago"));
        }
        let answer = match self.exchange(&mut link, &bytes).await {
            Ok(answer) => answer,
            Err(error) => {
                link.not_before = Some(Instant::now() + link.backoff.next());
                return Err(error);
            }
        };
        (link.backoff, link.not_before) = (Backoff::new(), None);
        texts(answer)
    }

    async fn exchange(&self, link: &mut Link, bytes: &[u8]) -> io::Result<Value> {
        let is_new = link.connection.is_none();
        let mut connection = match link.connection.take() {
            Some(connection) => connection,
            None => self.dial.connect().await?,
        };
        let mut asked = ask(&mut connection, bytes).await;
        if asked.as_ref().is_err_and(|error| !is_new && error.kind() != io::ErrorKind::TimedOut) {
            // It was closed while nobody used it.
            connection = self.dial.connect().await?;
            asked = ask(&mut connection, bytes).await;
        }
        let answer = asked?;
        link.connection = Some(connection);
        Ok(answer)
    }
}

async fn ask(connection: &mut Connection, bytes: &[u8]) -> io::Result<Value> {
    connection.send(bytes).await?;
    connection.answer().await
}

fn texts(answer: Value) -> io::Result<Vec<String>> {
    let items = match answer {
        Value::Items(items) => items,
        Value::Nothing => return Ok(Vec::new()),
        Value::Error(error) => return Err(io::Error::other(error)),
        single => vec![single],
    };
    let text = |item| match item {
        Value::Text(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Error(_) | Value::Nothing | Value::Items(_) => Err(io::ErrorKind::InvalidData.into()),
    };
    items.into_iter().map(text).collect()
}
