//! The protocol of Redis (RESP2), as far as it is spoken here: commands out, answers in.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longer than anything that is sent on the bus, or answered by a script.
const BYTES_MAX: usize = 64 << 10;
const ITEMS_MAX: usize = 1024;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Error(String),
    Number(i64),
    Nothing,
    Items(Vec<Value>),
}

/// A command as it is sent.
pub(crate) fn command(out: &mut Vec<u8>, words: &[&str]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// Reads one answer.
pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Value> {
    let first = line(from).await?;
    let (kind, rest) = first.split_at_checked(1).ok_or_else(|| malformed("an empty line"))?;
    if kind != "*" {
        return scalar(from, kind, rest).await;
    }
    let count: i64 = number(rest)?;
    let Ok(count) = usize::try_from(count) else { return Ok(Value::Nothing) };
    if count > ITEMS_MAX {
        return Err(malformed("too many items"));
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let first = line(from).await?;
        let (kind, rest) = first.split_at_checked(1).ok_or_else(|| malformed("an empty line"))?;
        items.push(scalar(from, kind, rest).await?);
    }
    Ok(Value::Items(items))
}

/// Anything but a list: no answer that we ask for has a list in a list.
async fn scalar(from: &mut (impl AsyncBufRead + Unpin), kind: &str, rest: &str) -> io::Result<Value> {
    match kind {
        "+" => Ok(Value::Text(rest.to_owned())),
        "-" => Ok(Value::Error(rest.to_owned())),
        ":" => Ok(Value::Number(number(rest)?)),
        "$" => {
            let Ok(length) = usize::try_from(number(rest)?) else { return Ok(Value::Nothing) };
            if length > BYTES_MAX {
                return Err(malformed("too many bytes"));
            }
            let mut bytes = vec![0; length + 2];
            from.read_exact(&mut bytes).await?;
            bytes.truncate(length);
            String::from_utf8(bytes).map(Value::Text).map_err(|_| malformed("not text"))
        }
        _ => Err(malformed("an unknown kind of answer")),
    }
}

async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    from.take(BYTES_MAX as u64).read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| malformed("not a number"))
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("an answer that Redis does not give: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_are_read_one_after_the_other_and_nonsense_is_refused() {
        let mut bytes: &[u8] = b"+OK\r\n:-5\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n$1\r\nx\r\n:1\r\n*-1\r\n-ERR no\r\n";
        let text = |text: &str| Value::Text(text.to_owned());
        for expected in [
            text("OK"),
            Value::Number(-5),
            text("a\r\n"),
            Value::Nothing,
            Value::Items(vec![text("x"), Value::Number(1)]),
            Value::Nothing,
            Value::Error("ERR no".to_owned()),
        ] {
            assert_eq!(read(&mut bytes).await.unwrap(), expected);
        }
        for nonsense in ["", "\r\n", "HTTP/1.1 400\r\n", "$99999999\r\n", "*2000\r\n", "$3\r\nab", ":x\r\n", "+cut"] {
            assert!(read(&mut nonsense.as_bytes()).await.is_err(), "{nonsense}");
        }
    }

    #[test]
    fn words_are_sent_with_their_lengths() {
        let mut out = Vec::new();
        command(&mut out, &["PUBLISH", "a b", "ü\r\n"]);
        assert_eq!(out, "*3\r\n$7\r\nPUBLISH\r\n$3\r\na b\r\n$4\r\nü\r\n\r\n".as_bytes());
    }
}
