//! The head of a request as an instance gets it. Pure.

use std::io::Write;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};

use super::spare::Spare;
use crate::clients::Clients;
use crate::plain::judge::FIELDS_MAX;
use crate::upstream::fields::{goes_inward, has_platform_token};
use crate::wire;

/// What is known of a request besides its own head.
pub(crate) struct Known<'k> {
    pub(crate) client: IpAddr,
    /// The other end of the connection.
    pub(crate) peer: SocketAddr,
    pub(crate) clients: &'k Clients,
    pub(crate) id: &'k str,
}

/// Writes it: the client's `head`, which is plain, without what belongs to its own connection, and with what only we could rightly say.
/// The same fields as by [`crate::upstream::fields::inward`]. `None` where that has to look.
pub(crate) fn write(head: &[u8], known: &Known<'_>) -> Option<Spare> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    request.parse_with_uninit_headers(head, &mut fields).ok().filter(httparse::Status::is_complete)?;
    let mut out = Spare::take();
    for part in [request.method?, " ", request.path?, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let (mut host, mut proto) = (None, None);
    let mut buffer = [0; wire::NAME_BYTES];
    for field in request.headers.iter() {
        let name = wire::lower(field.name, &mut buffer)?;
        if matches!(name, "authorization" | "x-api-key") && has_platform_token(field.value) {
            return None;
        }
        match name {
            "host" => host = Some(field.value),
            "x-forwarded-proto" => proto = Some(field.value),
            _ => {}
        }
        if goes_inward(name) {
            wire::field(&mut out, name, field.value);
        }
    }
    let _ = write!(*out, "x-forwarded-for: {}\r\n", known.client.to_canonical());
    wire::field(&mut out, "x-forwarded-proto", known.clients.scheme_said(known.peer, proto).as_str().as_bytes());
    wire::field(&mut out, "x-forwarded-host", host?);
    wire::field(&mut out, "x-request-id", known.id.as_bytes());
    out.extend_from_slice(b"\r\n");
    Some(out)
}
