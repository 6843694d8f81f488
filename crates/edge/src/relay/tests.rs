//! Bodies pass however they are cut, and what they do not say is not made up.

use super::reframe::{Broken, Reframe};
use crate::program::framing::{Ambiguous, Frame, Framing};
use http::StatusCode;

/// What the client gets of a body that comes in two pieces, with every cut; the same each time, but for where chunks begin.
fn check(framing: Framing, body: &str, ends: bool) -> Result<String, Broken> {
    let cuts = (0..=body.len()).map(|cut| {
        let (one, two) = body.as_bytes().split_at(cut);
        let (mut rest, mut out, mut bytes) = (Reframe::of(framing), Vec::new(), 0);
        for piece in [one, two] {
            bytes += rest.take(piece, &mut out)?.body_bytes;
        }
        if ends {
            rest.end(&mut out)?;
        }
        let text = data(framing, &out);
        assert_eq!(text.len() as u64, bytes, "{body} cut at {cut}");
        Ok(if rest.is_done() { text + "." } else { text })
    });
    cuts.reduce(|before, now| {
        assert_eq!(before, now, "{body}");
        now
    })
    .unwrap()
}

/// The data of a body as the client reads it.
fn data(framing: Framing, mut out: &[u8]) -> String {
    if !matches!(framing, Framing::Chunked | Framing::ToTheEnd) {
        return String::from_utf8(out.to_vec()).unwrap();
    }
    let mut data = Vec::new();
    while let Some(line) = out.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&out[..line]).unwrap(), 16).unwrap();
        data.extend_from_slice(&out[line + 2..line + 2 + size]);
        out = &out[line + 4 + size..];
    }
    assert_eq!(out, b"");
    String::from_utf8(data).unwrap()
}

#[test]
fn bodies_pass_however_they_are_cut() {
    assert_eq!(check(Framing::Length(5), "hello", false).unwrap(), "hello.");
    assert_eq!(check(Framing::Length(5), "hell", false).unwrap(), "hell");
    assert_eq!(check(Framing::Length(5), "hello, you", false).unwrap(), "hello.", "what is too much stays behind");
    assert_eq!(
        check(Framing::Chunked, "2;x=y\r\nhi\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\n", false).unwrap(),
        "hi0123456789."
    );
    assert_eq!(check(Framing::Chunked, "2\r\nhi\r\n", false).unwrap(), "hi");
    assert_eq!(check(Framing::ToTheEnd, "hello", true).unwrap(), "hello.");
    assert_eq!(check(Framing::ToTheEnd, "hello", false).unwrap(), "hello");
    assert_eq!(check(Framing::Nothing, "hello", false).unwrap(), ".");
}

#[test]
fn a_body_that_breaks_off_has_no_end() {
    for (framing, body) in [(Framing::Length(5), "hell"), (Framing::Chunked, "2\r\nhi\r\n"), (Framing::Chunked, "")] {
        assert_eq!(check(framing, body, true), Err(Broken));
    }
    for body in ["x", "2\nhi", "2\r\nhi!", "-1\r\n", "2\r\nhi\r\n0\r\nContent-Length: 1\r\n\r\n"] {
        assert_eq!(check(Framing::Chunked, body, true), Err(Broken), "{body}");
    }
}

#[test]
fn an_answer_is_framed_in_one_way_or_is_none() {
    let framed = |lengths: &[&str], codings: &[&str], status: u16, kind| {
        let mut frame = Frame::default();
        lengths.iter().try_for_each(|length| frame.length(length.as_bytes()))?;
        codings.iter().try_for_each(|coding| frame.coding(coding.as_bytes()))?;
        frame.framing(StatusCode::from_u16(status).unwrap(), kind)
    };
    let get = (true, false);
    assert_eq!(framed(&["5"], &[], 200, get), Ok(Framing::Length(5)));
    assert_eq!(framed(&["5", "5"], &[], 200, get), Ok(Framing::Length(5)));
    assert_eq!(framed(&["0"], &[], 200, get), Ok(Framing::Nothing));
    assert_eq!(framed(&[], &["CHUNKED"], 200, get), Ok(Framing::Chunked));
    assert_eq!(framed(&[], &[], 200, get), Ok(Framing::ToTheEnd));
    assert_eq!(framed(&["5"], &[], 304, get), Ok(Framing::Nothing));
    assert_eq!(framed(&["5"], &[], 204, get), Ok(Framing::Nothing));
    assert_eq!(framed(&[], &["chunked"], 200, (true, true)), Ok(Framing::Nothing));
    for (lengths, codings) in [
        (&["5", "6"][..], &[][..]),
        (&["5"], &["chunked"]),
        (&["+5"], &[]),
        (&["5, 5"], &[]),
        (&[""], &[]),
        (&["9223372036854775808"], &[]),
        (&[], &["chunked", "chunked"]),
        (&[], &["gzip, chunked"]),
        (&[], &["identity"]),
    ] {
        assert_eq!(framed(lengths, codings, 200, get), Err(Ambiguous), "{lengths:?} {codings:?}");
    }
    assert_eq!(framed(&[], &["chunked"], 200, (false, false)), Err(Ambiguous), "no chunks in HTTP/1.0");
}
