//! AWS Signature Version 4, in headers. Pure: the time is a parameter.

use std::fmt::Write;

use ring::hmac;
use skylift_model::Digest;

/// What is signed, besides the time.
pub(crate) struct Signing<'a> {
    pub(crate) method: &'a str,
    /// As it is sent: percent-encoded.
    pub(crate) path: &'a str,
    /// Names and values, not encoded, in any order.
    pub(crate) query: &'a [(&'a str, String)],
    /// Lower-case names and values; `host` and all `x-amz-…` among them.
    pub(crate) headers: &'a [(String, String)],
    pub(crate) payload: &'a str,
}

/// Who signs, and for where.
pub(crate) struct Signer<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
    pub(crate) region: &'a str,
    /// Such as `s3`.
    pub(crate) service: &'a str,
}

impl Signer<'_> {
    /// The value of the `authorization` header. `time` is as in the `x-amz-date` header: `20130524T000000Z`.
    pub(crate) fn authorization(&self, signing: &Signing<'_>, time: &str) -> String {
        let mut headers: Vec<_> = signing.headers.iter().collect();
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let mut canonical = format!("{}\n{}\n{}\n", signing.method, signing.path, canonical_query(signing.query));
        for (name, value) in headers {
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{}", signing.payload);

        let day = time.get(..8).unwrap_or(time);
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", Digest::of(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for part in [day, self.region, self.service, "aws4_request", &to_sign] {
            key = hmac_sha256(&key, part);
        }
        let mut signature = String::with_capacity(64);
        for byte in key {
            let _ = write!(signature, "{byte:02x}");
        }
        let id = self.access_key_id;
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}")
    }
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// A query as it is signed, and sent: sorted and percent-encoded.
pub(crate) fn canonical_query(query: &[(&str, String)]) -> String {
    let mut pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Amazon's documentation of Signature Version 4.
    #[test]
    fn the_published_examples_are_signed_as_published() {
        let signer = Signer {
            access_key_id: "AKIAIOSFODNN7EXAMPLE",
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "s3",
        };
        let time = "20130524T000000Z";
        let payload = Digest::of(b"").to_string();
        let mut headers: Vec<(String, String)> =
            [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", &payload), ("x-amz-date", time)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let query = [("prefix", "J".to_owned()), ("max-keys", "2".to_owned())];
        let list = Signing { method: "GET", path: "/", query: &query, headers: &headers, payload: &payload };
        let signed = signer.authorization(&list, time);
        assert!(signed.ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), "{signed}");

        headers.push(("range".to_owned(), "bytes=0-9".to_owned()));
        let get = Signing { method: "GET", path: "/test.txt", query: &[], headers: &headers, payload: &payload };
        let signed = signer.authorization(&get, time);
        assert!(signed.ends_with("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"), "{signed}");
    }
}
