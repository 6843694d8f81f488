//! What the engine says while it builds: JSON documents one after the other, however they are cut into pieces. Pure.

use serde::Deserialize;

/// More than any message has.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Something said while an image is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Text as the engine and the commands print it: pieces of lines.
    Text(String),
    /// The image is built.
    Built { id: String },
    /// It failed, with the exit code of the command that did.
    Failed { message: String, code: Option<i32> },
}

#[derive(Default)]
pub(super) struct Messages {
    left: Vec<u8>,
}

#[derive(Deserialize)]
struct Message {
    stream: Option<String>,
    status: Option<String>,
    id: Option<String>,
    progress: Option<String>,
    aux: Option<Aux>,
    error: Option<String>,
    #[serde(rename = "errorDetail")]
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Aux {
    #[serde(rename = "ID")]
    id: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<i32>,
}

impl Messages {
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.left.extend_from_slice(piece);
    }

    /// The next that is whole and says something.
    pub(super) fn next(&mut self) -> Result<Option<Progress>, serde_json::Error> {
        loop {
            let mut documents = serde_json::Deserializer::from_slice(&self.left).into_iter::<Message>();
            let message = match documents.next() {
                None => return Ok(None),
                Some(Err(error)) if error.is_eof() && self.left.len() < MESSAGE_BYTES_MAX => return Ok(None),
                Some(message) => message?,
            };
            let read = documents.byte_offset();
            self.left.drain(..read);
            if let Some(progress) = progress(message) {
                return Ok(Some(progress));
            }
        }
    }
}

fn progress(message: Message) -> Option<Progress> {
    if let Some(error) = message.error {
        return Some(Progress::Failed { message: error, code: message.detail.and_then(|detail| detail.code) });
    }
    if let Some(id) = message.aux.and_then(|aux| aux.id) {
        return Some(Progress::Built { id });
    }
    if let Some(text) = message.stream {
        return Some(Progress::Text(text));
    }
    // How far a download is, which is said many times a second, is no line of a log.
    let status = message.status.filter(|_| message.progress.is_none())?;
    Some(Progress::Text(message.id.map_or_else(|| format!("{status}\n"), |id| format!("{id}: {status}\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> Vec<Progress> {
        let mut messages = Messages::default();
        let mut all = Vec::new();
        for piece in pieces {
            messages.feed(piece.as_bytes());
            while let Some(progress) = messages.next().unwrap() {
                all.push(progress);
            }
        }
        all
    }

    #[test]
    fn messages_are_the_same_however_they_are_cut() {
        let text = "{\"stream\":\"Step 1\"}\r\n{\"status\":\"Pulling\",\"id\":\"ab\"}\n{\"status\":\"x\",\"progress\":\"[=>\"}\
                    {\"aux\":{\"ID\":\"sha256:1\"}}{\"error\":\"no\",\"errorDetail\":{\"code\":3,\"message\":\"no\"}}";
        let whole = all(&[text]);
        let expected = [
            Progress::Text("Step 1".to_owned()),
            Progress::Text("ab: Pulling\n".to_owned()),
            Progress::Built { id: "sha256:1".to_owned() },
            Progress::Failed { message: "no".to_owned(), code: Some(3) },
        ];
        assert_eq!(whole, expected);
        for cut in 1..text.len() {
            assert_eq!(all(&[&text[..cut], &text[cut..]]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_message_is_an_error_and_not_waited_on_for_ever() {
        let mut messages = Messages::default();
        messages.feed(b"<html>");
        assert!(messages.next().is_err());
    }
}
