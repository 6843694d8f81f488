//! What frames the body of an instance's answer (RFC 9112 §6.3). Pure.

use http::StatusCode;

/// How long the head of an answer may be.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
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
pub(crate) struct Frame {
    pub(crate) length: Option<u64>,
    pub(crate) chunked: bool,
}

/// More than one reading, or more than is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

impl Frame {
    /// Takes in a `Content-Length`. Who says the same twice has said it.
    pub(crate) fn length(&mut self, value: &[u8]) -> Result<(), Ambiguous> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits).ok_or(Ambiguous)?;
        // The largest ones have other meanings to some.
        let length = text.parse().ok().filter(|length| *length <= u64::MAX >> 1).ok_or(Ambiguous)?;
        if self.length.replace(length).is_some_and(|before| before != length) { Err(Ambiguous) } else { Ok(()) }
    }

    /// Takes in a `Transfer-Encoding`.
    pub(crate) fn coding(&mut self, value: &[u8]) -> Result<(), Ambiguous> {
        let is_known = value.eq_ignore_ascii_case(b"chunked");
        if is_known && !std::mem::replace(&mut self.chunked, true) { Ok(()) } else { Err(Ambiguous) }
    }

    /// Whether they do not contradict each other: whoever reads one of two reads another answer than who reads the other (RFC 9112 §6.3).
    pub(crate) fn is_one(self) -> Result<(), Ambiguous> {
        if self.length.is_some() && self.chunked { Err(Ambiguous) } else { Ok(()) }
    }

    /// Whether more may come behind an answer of this status: some send the body that they announce although none belongs there.
    pub(crate) fn may_send_more(self, status: StatusCode, is_head: bool) -> bool {
        is_head || (has_no_body(status) && (self.chunked || self.length.is_some_and(|length| length > 0)))
    }

    /// What they come to, in an answer of this status to a request of this kind.
    pub(crate) fn framing(self, status: StatusCode, (is_http_11, is_head): (bool, bool)) -> Result<Framing, Ambiguous> {
        self.is_one()?;
        match self {
            Self { chunked: true, .. } if !is_http_11 => Err(Ambiguous),
            _ if is_head || has_no_body(status) => Ok(Framing::Nothing),
            Self { chunked: true, .. } => Ok(Framing::Chunked),
            Self { length: Some(0), .. } => Ok(Framing::Nothing),
            Self { length: Some(length), .. } => Ok(Framing::Length(length)),
            Self { .. } => Ok(Framing::ToTheEnd),
        }
    }
}

/// Whether an answer of this status never has a body, and says nothing of the length of one.
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}
