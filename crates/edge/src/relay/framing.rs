//! What frames the body of an instance's answer (RFC 9112 §6.3). Pure.

use http::StatusCode;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    /// After so many bytes.
    Length(u64),
    /// Where its chunks say.
    Chunked,
    /// Where the connection does.
    ToTheEnd,
}

/// The fields that say so, as they come by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
}

/// More than one reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

impl Frame {
    /// Takes in a `Content-Length`. Who says the same twice has said it.
    pub(super) fn length(&mut self, value: &[u8]) -> Result<(), Ambiguous> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits).ok_or(Ambiguous)?;
        // The largest ones have other meanings to some.
        let length = text.parse().ok().filter(|length| *length <= u64::MAX >> 1).ok_or(Ambiguous)?;
        if self.length.replace(length).is_some_and(|before| before != length) { Err(Ambiguous) } else { Ok(()) }
    }

    /// Takes in a `Transfer-Encoding`.
    pub(super) fn coding(&mut self, value: &[u8]) -> Result<(), Ambiguous> {
        let is_known = value.eq_ignore_ascii_case(b"chunked");
        if is_known && !std::mem::replace(&mut self.chunked, true) { Ok(()) } else { Err(Ambiguous) }
    }

    /// What they come to, in an answer of this status to a request of this kind.
    pub(super) fn framing(self, status: StatusCode, (is_http_11, is_head): (bool, bool)) -> Result<Framing, Ambiguous> {
        match self {
            Self { length: Some(_), chunked: true } => Err(Ambiguous),
            Self { chunked: true, .. } if !is_http_11 => Err(Ambiguous),
            _ if is_head || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) => {
                Ok(Framing::Nothing)
            }
            Self { chunked: true, .. } => Ok(Framing::Chunked),
            Self { length: Some(0), .. } => Ok(Framing::Nothing),
            Self { length: Some(length), .. } => Ok(Framing::Length(length)),
            Self { .. } => Ok(Framing::ToTheEnd),
        }
    }
}
