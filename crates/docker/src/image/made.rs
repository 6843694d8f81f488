//! Which images a build has made on its way. Those that the result is not made of would stay for ever: they have no name and
//! no label, and nobody but who has heard of them can tell whose they are.

use std::sync::{Arc, Mutex, PoisonError};

/// The ids of what a build has made. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Made(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    ids: Vec<String>,
    /// What the next id is of: something that was there before.
    is_others: bool,
}

impl Made {
    /// Hears what the engine says, message by message.
    pub(crate) fn hear(&self, text: &str) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(step) = text.strip_prefix("Step ") {
            let instruction = step.split_once(" : ").map_or("", |(_, instruction)| instruction);
            heard.is_others = instruction.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("FROM "));
        }
        let Some(said) = text.strip_prefix(" ---> ") else { return };
        let said = said.trim_end();
        if said == "Using cache" {
            heard.is_others = true;
        } else if is_id(said) && !heard.is_others {
            heard.ids.push(said.to_owned());
        }
    }

    /// The newest first.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ids.iter().rev().cloned().collect()
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_starts_from_or_finds_is_not_its_own() {
        let made = Made::default();
        for text in [
            "Step 1/4 : FROM debian:12",
            "\n",
            " ---> 0123456789ab\n",
            "Step 2/4 : COPY a /a",
            " ---> Using cache\n",
            " ---> 1123456789ab\n",
            "Step 3/4 : RUN b",
            " ---> Running in 2123456789ab\n",
            " ---> 3123456789ab\n",
            "Step 4/4 : LABEL c",
            " ---> 4123456789ab\n",
        ] {
            made.hear(text);
        }
        assert_eq!(made.ids(), ["4123456789ab", "3123456789ab"]);
    }
}
