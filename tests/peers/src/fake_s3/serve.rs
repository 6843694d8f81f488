//! HTTP, as far as a client of S3 needs it.

use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{FakeS3, Object, State, Trouble};

/// How many names one page of a list has: few, so that there are several pages.
const PAGE: usize = 7;

struct Request {
    method: String,
    key: String,
    query: Vec<(String, String)>,
    copy_source: Option<String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

pub(super) async fn run(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, state.clone()));
    }
}

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = read(&mut stream).await {
        let trouble = note(&state, &request);
        wait_while_held(&state, &request).await;
        if let Some(Trouble::Reset) = trouble {
            return reset(stream.into_inner());
        }
        if let Some(Trouble::Silence) = trouble {
            std::future::pending::<()>().await;
        }
        let mut answer = match trouble {
            Some(Trouble::Status(status, code)) => error(status, code),
            _ => act(&mut state.lock().unwrap(), &request),
        };
        let length = answer.body.len();
        match trouble {
            Some(Trouble::ResetAfter) => return reset(stream.into_inner()),
            Some(Trouble::Cut) => answer.body.truncate(length / 2),
            Some(Trouble::Flip) if length > 0 => answer.body[length / 2] ^= 1,
            _ => {}
        }
        let announced = if request.method == "HEAD" { String::new() } else { format!("content-length: {length}\r\n") };
        let head = format!("HTTP/1.1 {} x\r\n{}{announced}\r\n", answer.status, answer.headers);
        let whole = [head.as_bytes(), if request.method == "HEAD" { b"" } else { answer.body.as_slice() }].concat();
        if stream.write_all(&whole).await.is_err() || matches!(trouble, Some(Trouble::Cut)) {
            return;
        }
    }
}

fn reset(stream: TcpStream) {
    // Closed with bytes unread or with this set, the other side gets a reset.
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

fn note(state: &Mutex<State>, request: &Request) -> Option<Trouble> {
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{} {}", request.method, request.key));
    let at = state.troubles.iter().position(|(method, _)| method.is_empty() || *method == request.method)?;
    state.troubles.remove(at).map(|(_, trouble)| trouble)
}

async fn wait_while_held(state: &Mutex<State>, request: &Request) {
    let mut held = {
        let mut state = state.lock().unwrap();
        let Some(hold) = state.held.as_mut().filter(|hold| hold.method == request.method) else { return };
        if let Some(reached) = hold.reached.take() {
            let _ = reached.send(());
        }
        hold.until_dropped.clone()
    };
    // Ends when the other side is dropped.
    while held.changed().await.is_ok() {}
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let (mut length, mut copy_source, mut digest) = (0, None, None);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name {
            "content-length" => length = value.parse().unwrap(),
            "x-amz-copy-source" => copy_source = Some(value.to_owned()),
            "x-amz-content-sha256" => digest = Some(value.to_owned()),
            _ => {}
        }
    }
    assert!(digest.is_some_and(|digest| digest.len() == 64), "every body's digest is signed");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    let key = path.strip_prefix(&format!("/{}/", FakeS3::BUCKET)).unwrap_or("no such bucket").to_owned();
    Ok(Some(Request { method, key, query, copy_source, body }))
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

fn act(state: &mut State, request: &Request) -> Answer {
    let query = |name: &str| request.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let (key, stored) = (request.key.clone(), SystemTime::now());
    match request.method.as_str() {
        "GET" if query("list-type").is_some() => {
            list(state, query("prefix").unwrap_or(""), query("continuation-token"))
        }
        "GET" | "HEAD" => match state.objects.get(&key) {
            Some(object) => found(object, request.method == "HEAD"),
            None => error(404, "NoSuchKey"),
        },
        "PUT" if query("uploadId").is_some() => match state.uploads.get_mut(query("uploadId").unwrap()) {
            Some(parts) => {
                parts.insert(query("partNumber").unwrap().parse().unwrap(), request.body.clone());
                plain(200, "etag: \"part\"\r\n".to_owned(), "")
            }
            None => error(404, "NoSuchUpload"),
        },
        "PUT" => {
            let source = request.copy_source.as_deref().map(|source| source.split_at(FakeS3::BUCKET.len() + 2).1);
            let bytes = match source {
                None => request.body.clone(),
                Some(source) => match state.objects.get(source) {
                    Some(object) => object.bytes.clone(),
                    None => return error(404, "NoSuchKey"),
                },
            };
            state.objects.insert(key, Object { bytes, stored });
            plain(200, String::new(), if source.is_some() { "<CopyObjectResult></CopyObjectResult>" } else { "" })
        }
        "POST" if query("uploads").is_some() => {
            state.next_upload += 1;
            let id = state.next_upload.to_string();
            state.uploads.insert(id.clone(), Default::default());
            let body =
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
            plain(200, String::new(), &body)
        }
        "POST" => match state.uploads.remove(query("uploadId").unwrap()) {
            Some(parts) => {
                let bytes = parts.into_values().flatten().collect();
                state.objects.insert(key, Object { bytes, stored });
                plain(200, String::new(), "<CompleteMultipartUploadResult>done</CompleteMultipartUploadResult>")
            }
            None => error(404, "NoSuchUpload"),
        },
        "DELETE" => {
            match query("uploadId") {
                Some(id) => state.uploads.remove(id).map(|_| ()),
                None => state.objects.remove(&key).map(|_| ()),
            };
            plain(204, String::new(), "")
        }
        _ => error(405, "MethodNotAllowed"),
    }
}

fn found(object: &Object, is_head: bool) -> Answer {
    let mut headers = format!("last-modified: {}\r\n", http_date(object.stored));
    if is_head {
        let _ = write!(headers, "content-length: {}\r\n", object.bytes.len());
    }
    Answer { status: 200, headers, body: object.bytes.clone() }
}

fn list(state: &State, prefix: &str, after: Option<&str>) -> Answer {
    let names = state.objects.iter().filter(|(key, _)| key.starts_with(prefix));
    let mut names = names.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let page: Vec<_> = names.by_ref().take(PAGE).collect();
    let more = names.next().is_some();
    let mut xml = format!("<?xml version=\"1.0\"?>\n<ListBucketResult><IsTruncated>{more}</IsTruncated>");
    if let Some((last, _)) = page.last().filter(|_| more) {
        let _ = write!(xml, "<NextContinuationToken>{last}</NextContinuationToken>");
    }
    for (key, object) in page {
        let _ = write!(xml, "<Contents><Key>{key}</Key><Size>{}</Size></Contents>", object.bytes.len());
    }
    plain(200, String::new(), &format!("{xml}</ListBucketResult>"))
}

fn error(status: u16, code: &str) -> Answer {
    plain(status, String::new(), &format!("<Error><Code>{code}</Code><Message>as told</Message></Error>"))
}

fn plain(status: u16, headers: String, body: &str) -> Answer {
    Answer { status, headers, body: body.as_bytes().to_vec() }
}

/// RFC 9110's date, cut to the second.
fn http_date(time: SystemTime) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.duration_since(UNIX_EPOCH).unwrap().as_secs()))
}
