//! Where a body in chunks ends, read strictly (RFC 9112 §7.1). Pure; holds nothing of the body but its trailers.
//!
//! ```text
//! size ──;──▶ extension ──CR──▶ LF ──▶ data ──▶ CR LF ──▶ size …
//!   └──────────CR───────────────┘ └ of size 0: trailers ──▶ end
//! ```

/// How long the extensions of one chunk may be.
const EXTENSION_BYTES_MAX: u16 = 256;
/// How long all trailers together may be.
const TRAILER_BYTES_MAX: usize = 8 << 10;
/// How many trailers there may be.
const TRAILERS_MAX: usize = 32;
/// Fields that say something about a message's frame or way, which is over when trailers come.
const NOT_TRAILERS: [&str; 6] = ["connection", "content-length", "host", "te", "trailer", "transfer-encoding"];

/// A body as far as it was looked at.
#[derive(Debug)]
pub(crate) struct Chunks {
    at: At,
    trailers: Vec<u8>,
    /// Whether there may be space behind a size, as some servers write it (RFC 9112 §7.1.1: to be read past).
    is_padded: bool,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// All of them are of the body, and it has not ended.
    Goes,
    /// So many are; with them it has ended.
    Ends(usize),
    /// So many are, and the next is wrong.
    Wrong(usize),
}

#[derive(Clone, Copy, Debug)]
enum At {
    Size { digits: u8, size: u64 },
    Extension { bytes: u16, size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailers,
}

const SIZE: At = At::Size { digits: 0, size: 0 };

impl Chunks {
    /// Of a request.
    pub(crate) fn new() -> Self {
        Self { at: SIZE, trailers: Vec::new(), is_padded: false }
    }

    /// Of an answer.
    pub(crate) fn of_answer() -> Self {
        Self { is_padded: true, ..Self::new() }
    }

    /// Looks at the next bytes.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Scan {
        self.scan_to(bytes, |_| {})
    }

    /// The same, and gives away the data in them.
    pub(crate) fn scan_to(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Scan {
        let mut seen = 0;
        while let Some(byte) = bytes.get(seen) {
            if let At::Data { left } = self.at {
                let rest = bytes.len() - seen;
                let skip = usize::try_from(left).unwrap_or(rest).min(rest);
                data(bytes.get(seen..seen + skip).unwrap_or_default());
                seen += skip;
                self.at = match left - skip as u64 {
                    0 => At::DataCr,
                    left => At::Data { left },
                };
                continue;
            }
            if matches!(self.at, At::Trailers) {
                return match self.trailer(bytes.get(seen..).unwrap_or_default()) {
                    Scan::Ends(length) => Scan::Ends(seen + length),
                    Scan::Wrong(length) => Scan::Wrong(seen + length),
                    Scan::Goes => Scan::Goes,
                };
            }
            let byte = if self.is_padded && matches!((self.at, *byte), (At::Size { digits: 1.., .. }, b' ' | b'\t')) {
                b';'
            } else {
                *byte
            };
            match next(self.at, byte) {
                Some(at) => self.at = at,
                None => return Scan::Wrong(seen),
            }
            seen += 1;
        }
        Scan::Goes
    }

    fn trailer(&mut self, bytes: &[u8]) -> Scan {
        for (seen, byte) in bytes.iter().enumerate() {
            self.trailers.push(*byte);
            if self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n") {
                return if are_trailers(&self.trailers) { Scan::Ends(seen + 1) } else { Scan::Wrong(0) };
            }
            let line_ends = *byte == b'\n' && !self.trailers.ends_with(b"\r\n");
            if line_ends || self.trailers.len() >= TRAILER_BYTES_MAX {
                return Scan::Wrong(0);
            }
        }
        Scan::Goes
    }
}

/// One byte that is neither of data nor of trailers.
fn next(at: At, byte: u8) -> Option<At> {
    match (at, byte) {
        // Sixteen digits are all that a number of 64 bits has.
        (At::Size { digits, size }, byte) if byte.is_ascii_hexdigit() && digits < 16 => {
            let digit = char::from(byte).to_digit(16)?;
            Some(At::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
        }
        (At::Size { digits: 1.., size } | At::Extension { size, .. }, b'\r') => Some(At::SizeLf { size }),
        (At::Size { digits: 1.., size }, b';') => Some(At::Extension { bytes: 0, size }),
        (At::Extension { bytes, size }, b'\t' | b' '..=b'~') if bytes < EXTENSION_BYTES_MAX => {
            Some(At::Extension { bytes: bytes + 1, size })
        }
        (At::SizeLf { size: 0 }, b'\n') => Some(At::Trailers),
        // More than any limit; the HTTP implementation would not tell it from what it means by such numbers.
        (At::SizeLf { size }, b'\n') => (size <= u64::MAX >> 1).then_some(At::Data { left: size }),
        (At::DataCr, b'\r') => Some(At::DataLf),
        (At::DataLf, b'\n') => Some(SIZE),
        _ => None,
    }
}

fn are_trailers(bytes: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(bytes, &mut fields) else { return false };
    let frames = |name: &str| NOT_TRAILERS.iter().any(|other| name.eq_ignore_ascii_case(other));
    super::head::lines_end_right(bytes) && !fields.iter().any(|field| frames(field.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same verdict however the bytes are cut.
    fn check(body: &str) -> Scan {
        let whole = Chunks::new().scan(body.as_bytes());
        for cut in 0..=body.len() {
            let (one, two) = body.as_bytes().split_at(cut);
            let mut chunks = Chunks::new();
            let verdict = match chunks.scan(one) {
                Scan::Goes => match chunks.scan(two) {
                    Scan::Ends(length) => Scan::Ends(cut + length),
                    Scan::Wrong(length) => Scan::Wrong(cut + length),
                    Scan::Goes => Scan::Goes,
                },
                verdict => verdict,
            };
            match (&verdict, &whole) {
                // Trailers are wrong as a whole: how many of them went on before depends on the cut.
                (Scan::Wrong(_), Scan::Wrong(_)) => {}
                _ => assert_eq!(verdict, whole, "{body:?} cut at {cut}"),
            }
        }
        whole
    }

    #[test]
    fn a_body_ends_where_its_last_chunk_and_its_trailers_do() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "05\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
            "5;a=\"b c\"\r\nhello\r\n0;x\r\n\r\n",
            "1\r\n\n\r\n0\r\nX: y\r\nz: \r\n\r\n",
        ] {
            assert_eq!(check(body), Scan::Ends(body.len()), "{body:?}");
            assert_eq!(check(&format!("{body}GET /")), Scan::Ends(body.len()), "{body:?}");
            assert_eq!(check(&body[..body.len() - 1]), Scan::Goes, "{body:?}");
        }
        assert_eq!(Chunks::new().scan(format!("{:x}\r\nabc", u64::MAX >> 1).as_bytes()), Scan::Goes);
    }

    #[test]
    fn whatever_is_not_written_as_chunks_are_is_wrong() {
        for body in [
            "\r\n",
            ";a\r\n",
            "x\r\n",
            "0x5\r\n",
            "+5\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\nhello",
            "5\r\r\n",
            "5;a\nb\r\n",
            "5;a\rb\r\n",
            "5;\0\r\n",
            "5 ;a\r\n",
            "00000000000000005\r\n",
            "ffffffffffffffff\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n",
            "5\r\nhello0\r\n\r\n",
            "0\n\r\n",
            "0\r\n\n",
            "0\r\nX: y\n\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\nX: a\rb\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
            "0\r\nX: y\r\nhost: a\r\n\r\n",
            "0\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(matches!(check(body), Scan::Wrong(_)), "{body:?}: {:?}", check(body));
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = |length: usize| Chunks::new().scan(format!("5;{}\r\n", "x".repeat(length)).as_bytes());
        assert_eq!(extension(256), Scan::Goes);
        assert_eq!(extension(257), Scan::Wrong(258));
        let trailer = |length: usize| Chunks::new().scan(format!("0\r\nx: {}", "y".repeat(length)).as_bytes());
        assert_eq!(trailer(8000), Scan::Goes);
        assert_eq!(trailer(8192), Scan::Wrong(3));
    }
}
