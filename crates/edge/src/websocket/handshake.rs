//! The handshake: what a client asks for, and whether an instance has agreed to it (RFC 6455 §4). Pure.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use http_body::Body;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// What a key is hashed together with (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;
/// Bits behind the last byte of a key say nothing, and clients that pick its characters at random set them.
const BASE_64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A WebSocket that was asked for as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// What whoever has read the request answers with.
    accept: String,
}

/// What is wrong with a request for a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHandshake {
    #[error("a WebSocket is asked for with GET")]
    Method,
    #[error("a WebSocket is asked for with HTTP/1.1")]
    Version,
    #[error("a WebSocket is asked for with `Connection: Upgrade`")]
    Connection,
    #[error("a request for a WebSocket has no body")]
    Body,
    #[error("a request for a WebSocket has one `Sec-WebSocket-Key` of 16 bytes")]
    Key,
}

impl Handshake {
    /// `None` for a request that asks for no WebSocket.
    ///
    /// # Errors
    /// Where it asks for one, but not as it should.
    pub(crate) fn of<B: Body>(request: &Request<B>) -> Result<Option<Self>, InvalidHandshake> {
        let headers = request.headers();
        if !wants_websocket(headers) {
            return Ok(None);
        }
        if request.method() != Method::GET {
            return Err(InvalidHandshake::Method);
        }
        if request.version() != Version::HTTP_11 {
            return Err(InvalidHandshake::Version);
        }
        if !names(headers, &CONNECTION, "upgrade") {
            return Err(InvalidHandshake::Connection);
        }
        if !request.body().is_end_stream() || headers.contains_key(TRANSFER_ENCODING) {
            return Err(InvalidHandshake::Body);
        }
        let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
        match (keys.next().map(HeaderValue::as_bytes), keys.next()) {
            (Some(key), None) if is_key(key) => Ok(Some(Self { accept: accept(key) })),
            _ => Err(InvalidHandshake::Key),
        }
    }

    /// Asks for it, in the header of a request to an instance, which has nothing of a single connection in it.
    pub(crate) fn ask(headers: &mut HeaderMap) {
        say(headers);
    }

    /// Whether an answer agrees to it: the status, the protocol, and the proof that this very request was read.
    pub(crate) fn is_met(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let mut protocols = headers.get_all(UPGRADE).iter();
        let protocol = (protocols.next(), protocols.next());
        let mut proofs = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        let proof = (proofs.next(), proofs.next());
        status == StatusCode::SWITCHING_PROTOCOLS
            && names(headers, &CONNECTION, "upgrade")
            && matches!(protocol, (Some(protocol), None) if protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
            && matches!(proof, (Some(proof), None) if proof.as_bytes() == self.accept.as_bytes())
    }

    /// Passes the agreement on, in the header of the answer, which has nothing of a single connection in it.
    pub(crate) fn confirm(headers: &mut HeaderMap) {
        headers.remove(CONTENT_LENGTH);
        say(headers);
    }
}

/// Whether a request asks for a WebSocket, rightly or not.
pub(crate) fn wants_websocket(headers: &HeaderMap) -> bool {
    names(headers, &UPGRADE, "websocket")
}

fn say(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether a list of names has this one.
fn names(headers: &HeaderMap, list: &HeaderName, name: &str) -> bool {
    let texts = headers.get_all(list).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|one| one.trim().eq_ignore_ascii_case(name))
}

fn is_key(key: &[u8]) -> bool {
    BASE_64.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES)
}

fn accept(key: &[u8]) -> String {
    let mut text = key.to_vec();
    text.extend_from_slice(GUID);
    BASE_64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text))
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, Full};

    use super::*;

    /// The example of RFC 6455 §1.2.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    const ASKED: [(&str, &str); 3] = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", KEY)];

    fn request(fields: &[(&str, &str)]) -> Request<Empty<&'static [u8]>> {
        let builder = Request::get("/chat");
        fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(Empty::new()).unwrap()
    }

    fn with(name: &str, value: &str) -> Vec<(&'static str, String)> {
        ASKED.iter().map(|(n, v)| (*n, if *n == name { value } else { *v }.to_owned())).collect()
    }

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        request(fields).into_parts().0.headers
    }

    #[test]
    fn the_proof_is_that_of_the_standard() {
        let handshake = Handshake::of(&request(&ASKED)).unwrap().unwrap();
        assert_eq!(handshake.accept, ACCEPT);
    }

    #[test]
    fn whoever_asks_for_something_else_asks_for_no_websocket() {
        for fields in [&[][..], &[("upgrade", "h2c"), ("connection", "upgrade")], &[("connection", "websocket")]] {
            assert_eq!(Handshake::of(&request(fields)), Ok(None), "{fields:?}");
        }
    }

    #[test]
    fn a_request_that_only_looks_like_a_handshake_is_refused() {
        use InvalidHandshake::{Body, Connection, Key, Method, Version};
        let check = |fields: Vec<(&str, String)>| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Handshake::of(&request(&fields)).map(|_| ())
        };
        assert_eq!(check(with("connection", "keep-alive, UPGRADE")), Ok(()));
        assert_eq!(check(with("upgrade", "h2c, WebSocket")), Ok(()));
        assert_eq!(check(with("connection", "close")), Err(Connection));
        for key in ["", "short==", "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25jZQQQ"] {
            assert_eq!(check(with("sec-websocket-key", key)), Err(Key), "{key}");
        }
        let twice = [with("", ""), vec![("sec-websocket-key", KEY.to_owned())]].concat();
        assert_eq!(check(twice), Err(Key));

        let mut posted = request(&ASKED);
        *posted.method_mut() = http::Method::POST;
        assert_eq!(Handshake::of(&posted), Err(Method));
        let mut old = request(&ASKED);
        *old.version_mut() = http::Version::HTTP_10;
        assert_eq!(Handshake::of(&old), Err(Version));
        assert_eq!(Handshake::of(&request(&ASKED).map(|_| Full::new(&b"x"[..]))), Err(Body));
        let chunked = [with("", ""), vec![("transfer-encoding", "chunked".to_owned())]].concat();
        assert_eq!(check(chunked), Err(Body), "an empty body in chunks is one, too");
    }

    #[test]
    fn an_instance_agrees_in_so_many_words_or_not_at_all() {
        let handshake = Handshake::of(&request(&ASKED)).unwrap().unwrap();
        let answer = [("connection", "upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-accept", ACCEPT)];
        let is_met = |status: u16, fields: &[(&str, &str)]| {
            handshake.is_met(StatusCode::from_u16(status).unwrap(), &headers(fields))
        };
        assert!(is_met(101, &answer));
        for status in [100, 102, 200, 204, 426] {
            assert!(!is_met(status, &answer), "{status}");
        }
        for left_out in 0..answer.len() {
            let fields: Vec<_> = answer.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, f)| *f).collect();
            assert!(!is_met(101, &fields), "{fields:?}");
        }
        for (name, value) in [
            ("upgrade", "h2c"),
            ("upgrade", "websocket, h2c"),
            ("connection", "close"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="),
        ] {
            let fields = answer.map(|(n, v)| (n, if n == name { value } else { v }));
            assert!(!is_met(101, &fields), "{fields:?}");
        }
        for twice in [("upgrade", "websocket"), ("sec-websocket-accept", ACCEPT)] {
            assert!(!is_met(101, &[&answer[..], &[twice]].concat()), "{twice:?}");
        }
    }
}
