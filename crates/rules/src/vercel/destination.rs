//! Where a redirect or a rewrite of `vercel.json` leads to.

use percent_encoding::percent_decode_str;

use super::source::{Name, Token, parse};
use super::template::{Names, Piece, push, read};
use crate::reject::Reason;

/// An address, cut into the pieces that are read on their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Address<'a> {
    /// `https://`, or nothing.
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
    query: Vec<(String, String)>,
    fragment: &'a str,
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Redirect,
    Rewrite,
}

/// Reads a destination. A rewrite that uses none of the names passes them all on in its query.
pub(crate) fn compile(destination: &str, names: &Names, conditions: usize, use_: Use) -> Result<Vec<Piece>, Reason> {
    let named_segments = names.all.iter().any(|(_, piece)| matches!(piece, Piece::Group(_)));
    let needs = destination.contains(':') && named_segments || conditions > 0 || use_ == Use::Rewrite;
    let mut pieces = Vec::new();
    if !needs {
        push(&mut pieces, destination);
        return Ok(pieces);
    }
    let address = Address::read(destination);
    push(&mut pieces, &address.scheme.to_ascii_lowercase());
    pieces.extend(read(address.host, names)?);
    push(&mut pieces, address.port);
    pieces.extend(read(address.path, names)?);
    let mut query: Vec<(String, Vec<Piece>)> = Vec::new();
    for (key, value) in &address.query {
        query.push((key.clone(), read(value, names)?));
    }
    let used = [address.path, address.fragment, address.host].map(named).concat();
    if use_ == Use::Rewrite && !names.all.iter().any(|(name, _)| used.contains(name)) {
        for (name, piece) in &names.all {
            if !query.iter().any(|(key, _)| key == name) {
                query.push((name.clone(), vec![piece.clone()]));
            }
        }
    }
    push_query(&mut pieces, query);
    pieces.extend(read(address.fragment, names)?);
    Ok(pieces)
}

/// The names of the placeholders in an address, the second time for those without a name.
pub(crate) fn segments(destination: &str) -> (Vec<String>, bool) {
    let address = Address::read(destination);
    let mut texts = vec![address.host.to_owned(), address.path.to_owned()];
    texts.extend(address.query.into_iter().map(|(_, value)| value));
    let (mut found, mut unnamed) = (Vec::new(), false);
    for text in texts {
        let Ok(tokens) = parse(&text, "/") else { break };
        for token in tokens {
            match token {
                Token::Key { name: Name::Named(name), .. } => found.push(name),
                Token::Key { name: Name::Unnamed(_), .. } => unnamed = true,
                Token::Key { name: Name::None, .. } | Token::Text(_) => {}
            }
        }
    }
    (found, unnamed)
}

fn named(text: &str) -> Vec<String> {
    let tokens = parse(text, "/#?").unwrap_or_default();
    tokens
        .into_iter()
        .filter_map(|token| match token {
            Token::Key { name: Name::Named(name), .. } => Some(name),
            Token::Key { .. } | Token::Text(_) => None,
        })
        .collect()
}

impl<'a> Address<'a> {
    fn read(text: &'a str) -> Self {
        let (before, fragment) = text.find('#').map_or((text, ""), |at| text.split_at(at));
        let (before, query) = before.split_once('?').unwrap_or((before, ""));
        let scheme_end = before.find("://").filter(|at| before.bytes().take(*at).all(|b| b.is_ascii_alphanumeric()));
        let (scheme, rest) = scheme_end.map_or(("", before), |at| before.split_at(at + 3));
        let (authority, path) = match scheme {
            "" => ("", rest),
            _ => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        };
        let port = authority.rfind(':').filter(|at| {
            let digits = authority.get(at + 1..).unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        });
        let (host, port) = authority.split_at(port.unwrap_or(authority.len()));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (plain(k), plain(v)));
        let path = if path.is_empty() && !host.is_empty() { "/" } else { path };
        Self { scheme, host, port, path, query: query.collect(), fragment }
    }
}

fn plain(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Writes a query, escaped; what is filled in later is escaped already where it comes from a path.
fn push_query(pieces: &mut Vec<Piece>, query: Vec<(String, Vec<Piece>)>) {
    for (at, (key, value)) in query.into_iter().enumerate() {
        push(pieces, if at == 0 { "?" } else { "&" });
        push(pieces, &escaped(&key));
        push(pieces, "=");
        for piece in value {
            match piece {
                Piece::Text(text) => push(pieces, &escaped(&text)),
                piece => pieces.push(piece),
            }
        }
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()$".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
    escaped
}
