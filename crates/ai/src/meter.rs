//! What an answer has cost: read from its own lines while they pass, told once at its end.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use skylift_model::TokenId;

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub requests: u64,
    /// Tokens that were read.
    pub prompt_tokens: u64,
    /// Tokens that were written.
    pub completion_tokens: u64,
}

/// Whoever is told what was spent.
pub trait Tally: Send + Sync {
    /// Told once for each request that a model worked for, also where its client went away; once for all of a run's, when that is over.
    /// Must not block.
    fn spent(&self, key: &TokenId, spent: Spent);
}

/// A line that is longer is not looked at.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Counts one answer, and tells of it when it is dropped.
pub(crate) struct Meter {
    tally: Arc<dyn Tally>,
    key: TokenId,
    /// What the question has, where the answer does not come as far as saying it.
    guessed_prompt: u64,
    prompt: Option<u64>,
    completion: Option<u64>,
    pieces: u64,
    line: Vec<u8>,
    /// Whether the line that is being read is too long.
    is_beyond: bool,
    is_told: bool,
}

/// What a line may say.
#[derive(Deserialize)]
struct Line {
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    #[serde(default)]
    done: bool,
}

impl Meter {
    pub(crate) fn new(tally: Arc<dyn Tally>, key: TokenId, guessed_prompt: u64) -> Self {
        Self {
            tally,
            key,
            guessed_prompt,
            prompt: None,
            completion: None,
            pieces: 0,
            line: Vec::new(),
            is_beyond: false,
            is_told: true,
        }
    }

    /// Looks at what passes.
    pub(crate) fn see(&mut self, bytes: &Bytes) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                self.is_beyond = true;
                self.line.clear();
            }
            if !self.is_beyond {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                self.read();
            }
        }
    }

    /// Looks at the line that has come, also where nothing ends it.
    pub(crate) fn read(&mut self) {
        let line = std::mem::take(&mut self.line);
        let is_beyond = std::mem::take(&mut self.is_beyond);
        let Ok(Line { prompt_eval_count, eval_count, done }) = serde_json::from_slice(&line) else { return };
        if is_beyond {
            return;
        }
        self.prompt = prompt_eval_count.or(self.prompt);
        self.completion = eval_count.or(self.completion);
        if !done {
            self.pieces += 1;
        }
    }

    /// That nobody has worked for it.
    pub(crate) fn forget(mut self) {
        self.is_told = false;
    }

    /// That it has no pieces: it is one object.
    pub(crate) fn is_whole(&mut self) {
        self.read();
        self.pieces = 0;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.is_told {
            return;
        }
        let prompt_tokens = self.prompt.unwrap_or(self.guessed_prompt);
        let completion_tokens = self.completion.unwrap_or(self.pieces);
        self.tally.spent(&self.key, Spent { requests: 1, prompt_tokens, completion_tokens });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use skylift_model::Timestamp;

    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<Spent>>);

    impl Tally for Told {
        fn spent(&self, _: &TokenId, spent: Spent) {
            self.0.lock().unwrap().push(spent);
        }
    }

    fn told(chunks: &[&str]) -> Spent {
        let tally = Arc::new(Told::default());
        let mut meter = Meter::new(tally.clone(), TokenId::new(Timestamp::from_millis(0), 1), 7);
        for chunk in chunks {
            meter.see(&Bytes::copy_from_slice(chunk.as_bytes()));
        }
        drop(meter);
        let told = tally.0.lock().unwrap();
        assert_eq!(told.len(), 1);
        told.first().copied().unwrap()
    }

    #[test]
    fn counts_are_those_of_the_last_line_however_it_comes() {
        let spent = Spent { requests: 1, prompt_tokens: 26, completion_tokens: 298 };
        let line = r#"{"done":true,"prompt_eval_count":26,"eval_count":298}"#;
        assert_eq!(told(&["{\"response\":\"a\",\"done\":false}\n", line, "\n"]), spent);
        let (first, second) = line.split_at(20);
        assert_eq!(told(&["{\"done\":false}\n{\"done\":", "false}\n", first, second, "\n"]), spent);
    }

    #[test]
    fn what_was_broken_off_counts_by_its_pieces() {
        let piece = "{\"response\":\"a\",\"done\":false}\n";
        let spent = Spent { requests: 1, prompt_tokens: 7, completion_tokens: 2 };
        assert_eq!(told(&[piece, piece, "{\"respon"]), spent);
        assert_eq!(told(&["no json\n", &"x".repeat(LINE_BYTES_MAX + 1), "\n", piece, piece]), spent);
    }
}
