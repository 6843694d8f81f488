//! The fields of a submission as they are sent, read one by one; what is wrong with them is collected.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

/// As Ruby's: what is no digit is passed over, and the end may lack.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// How many bytes are on one line of what we tell, as Ruby does.
const LINE_BYTES: usize = 45;

/// Bytes from base 64, however it is written.
pub(in crate::judge0) fn decode(text: &str) -> Vec<u8> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut digits: Vec<u8> = text.bytes().take_while(|byte| *byte != b'=').filter(is_digit).collect();
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    LENIENT.decode(digits).unwrap_or_default()
}

/// Base 64 as Judge0 writes it: a line feed after each 60 characters, and at the end.
pub(in crate::judge0) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(LINE_BYTES) * 61);
    for line in bytes.chunks(LINE_BYTES) {
        BASE64_STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text
}

/// The fields, and what is wrong with them.
pub(super) struct Given<'g> {
    sent: &'g Map<String, Value>,
    base64: bool,
    faults: Map<String, Value>,
}

impl<'g> Given<'g> {
    pub(super) fn new(sent: &'g Map<String, Value>, base64: bool) -> Self {
        Self { sent, base64, faults: Map::new() }
    }

    pub(super) fn sent(&self) -> &'g Map<String, Value> {
        self.sent
    }

    pub(super) fn wrong(&mut self, name: &str, why: &str) {
        if let Value::Array(faults) = self.faults.entry(name).or_insert_with(|| json!([])) {
            faults.push(why.into());
        }
    }

    /// What is wrong, which is not nothing.
    pub(super) fn faults(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.faults)
    }

    pub(super) fn faults_if_any(&mut self) -> Option<Map<String, Value>> {
        (!self.faults.is_empty()).then(|| self.faults())
    }

    /// A text; numbers are texts as well.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.sent.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A text that may be in base 64.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let text = self.text(name)?;
        Some(if self.base64 { decode(&text) } else { text.into_bytes() })
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match self.sent.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            // As Rails reads them.
            Some(Value::String(text)) => {
                !matches!(text.to_ascii_lowercase().as_str(), "" | "0" | "f" | "false" | "off" | "n" | "no")
            }
            _ => false,
        }
    }

    /// A number from `least` to `most`; left out, the usual one.
    pub(super) fn number(&mut self, name: &str, (usual, most): (f64, f64), least: f64) -> f64 {
        self.bounded(name, (usual, most), least, false)
    }

    /// The same without a fraction.
    pub(super) fn whole(&mut self, name: &str, (usual, most): (f64, f64), least: f64) -> u64 {
        self.bounded(name, (usual, most), least, true).trunc() as u64
    }

    fn bounded(&mut self, name: &str, (usual, most): (f64, f64), least: f64, is_whole: bool) -> f64 {
        let read = match self.sent.get(name) {
            None | Some(Value::Null) => return usual,
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) if text.trim().is_empty() => return usual,
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let told = |bound: f64| if is_whole { format!("{bound:.0}") } else { format!("{bound:?}") };
        let why = match read.filter(|number| number.is_finite()) {
            None => "is not a number".to_owned(),
            Some(number) if number < least => format!("must be greater than or equal to {}", told(least)),
            Some(number) if number > most => format!("must be less than or equal to {}", told(most)),
            Some(number) => return number,
        };
        self.wrong(name, &why);
        usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_read_however_it_is_written_and_told_in_lines() {
        for (text, bytes) in
            [("aGVsbG8=", "hello"), ("aGVs\nbG8", "hello"), ("aGVsbG8===x", "hello"), ("", ""), ("a", ""), ("=", "")]
        {
            assert_eq!(decode(text), bytes.as_bytes(), "{text:?}");
        }
        assert_eq!(encode(b"hello"), "aGVsbG8=\n");
        assert_eq!(encode(b""), "");
        let long = vec![b'x'; 100];
        assert_eq!(encode(&long).lines().map(str::len).collect::<Vec<_>>(), [60, 60, 16]);
        assert_eq!(decode(&encode(&long)), long);
    }
}
