//! Vectors that follow from the words of a text: who shares words is near.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Numbers, nanos_since};
use crate::{Answer, Ask, Trouble, tokens};

/// How many numbers each has.
pub(super) const LENGTH: usize = 384;

/// What is beyond that of a text is not looked at.
const PIECES_MAX: usize = 2048;
/// How many texts may come together.
const TEXTS_MAX: usize = 512;

/// `/api/embed`: of a text, or of each of several.
pub(super) fn answer(ask: &Ask, began: Instant) -> Result<Answer, Trouble> {
    let texts: Vec<&str> = match ask.fields.get("input") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => {
            let all: Option<Vec<&str>> = texts.iter().map(Value::as_str).collect();
            all.ok_or_else(invalid)?
        }
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return Err(invalid()),
    };
    if texts.len() > TEXTS_MAX {
        return Err(Trouble::Malformed(format!("`input` has {} texts, and may have {TEXTS_MAX}", texts.len())));
    }
    let vectors: Vec<Vec<f64>> = texts.iter().filter(|text| !text.is_empty()).map(|text| vector(text)).collect();
    Ok(Answer::whole(&json!({
        "model": ask.model,
        "embeddings": vectors,
        "total_duration": nanos_since(began),
        "load_duration": 0,
        "prompt_eval_count": texts.iter().map(|text| tokens::split(text).take(PIECES_MAX).count()).sum::<usize>(),
    })))
}

/// `/api/embeddings`: of one text.
pub(super) fn answer_one(ask: &Ask) -> Result<Answer, Trouble> {
    let text = ask.fields.get("prompt").and_then(Value::as_str).unwrap_or_default();
    let vector = if text.is_empty() { Vec::new() } else { vector(text) };
    Ok(Answer::whole(&json!({ "embedding": vector })))
}

fn invalid() -> Trouble {
    Trouble::Malformed("invalid input type: `input` is a text or a list of texts".to_owned())
}

/// The sum of what stands for each piece, of length 1.
fn vector(text: &str) -> Vec<f64> {
    let mut sum = vec![0.0; LENGTH];
    for piece in tokens::split(text).take(PIECES_MAX) {
        let mut numbers = Numbers::of(piece.trim().to_lowercase().as_bytes());
        for value in &mut sum {
            *value += direction(&mut numbers);
        }
    }
    let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    if norm > 0.0 {
        sum.iter_mut().for_each(|value| *value /= norm);
    }
    sum
}

/// From -1 to 1, in steps that a `f64` holds exactly.
fn direction(numbers: &mut Numbers) -> f64 {
    let step = u32::try_from(numbers.next() >> 32).unwrap_or_default();
    f64::from(step) / f64::from(u32::MAX) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &str, b: &str) -> f64 {
        vector(a).iter().zip(vector(b)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn every_vector_has_the_same_length_and_norm() {
        for text in ["a", "the sky is blue", " \n ", "€ 5", &"long ".repeat(5000)] {
            let vector = vector(text);
            assert_eq!(vector.len(), LENGTH);
            let norm = vector.iter().map(|value| value * value).sum::<f64>();
            assert!((norm - 1.0).abs() < 1e-9, "{text}: {norm}");
        }
    }

    #[test]
    fn who_shares_words_is_near() {
        assert!((near("the sky is blue", "The sky is blue") - 1.0).abs() < 1e-9);
        let (close, far) = (near("the sky is blue", "the sky is grey"), near("the sky is blue", "print numbers"));
        assert!(close > 0.5 && far < 0.3, "{close} {far}");
    }
}
