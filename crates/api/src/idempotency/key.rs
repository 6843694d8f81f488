//! The key as it is sent.

use axum::http::HeaderMap;
use skylift_model::wire::Code;

use crate::error::ApiError;

/// The header, in lower case.
pub(crate) const HEADER: &str = "idempotency-key";
/// How long a key may be.
pub(crate) const KEY_BYTES_MAX: usize = 255;

/// The key of a request that has the header.
pub(super) fn parse(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refused("the request has more than one Idempotency-Key"));
    };
    let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
    match value.as_bytes() {
        b"" => Err(refused("the Idempotency-Key is empty")),
        key if key.len() > KEY_BYTES_MAX => {
            Err(refused(&format!("the Idempotency-Key has {} characters, more than {KEY_BYTES_MAX}", key.len())))
        }
        key if !key.iter().all(is_printable) => {
            Err(refused("the Idempotency-Key has characters that are not printable ASCII"))
        }
        key => Ok(String::from_utf8_lossy(key).into_owned()),
    }
}

fn refused(message: &str) -> ApiError {
    ApiError::new(
        Code::BadRequest,
        message,
        "send one key of 1 to 255 printable ASCII characters; a random UUID is good",
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn parsed(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        parse(&headers).ok()
    }

    #[test]
    fn a_key_is_one_header_of_printable_ascii() {
        assert_eq!(parsed(&[b"\"9-a b\""]).as_deref(), Some("\"9-a b\""));
        assert!(parsed(&[&[b'a'; 255]]).is_some());
        for refused in [&[&b""[..]][..], &[&[b'a'; 256]], &[b"a\tb"], &["ü".as_bytes()], &[b"a", b"a"], &[]] {
            assert_eq!(parsed(refused), None, "{refused:?}");
        }
    }
}
