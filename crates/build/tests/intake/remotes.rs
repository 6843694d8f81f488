//! Servers that are not there, stall, refuse or point elsewhere; and ssh, with a stand-in for the other machine.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};

use skylift_build::frames::{Refusal, RefusalCode};

use super::repository::{Asked, Repository};

/// Answers every request with the same bytes; tells the head of each.
fn server(answer: String) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/r", listener.local_addr().unwrap());
    let (heads, received) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let head = read_head(connection.as_ref().unwrap());
            let _closed = heads.send(head);
            let _closed = connection.unwrap().write_all(answer.as_bytes());
        }
    });
    (url, received)
}

fn read_head(connection: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(connection);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

fn refused(url: &str, token: Option<&str>) -> Refusal {
    let asked = Asked { url: Some(url.to_owned()), token, ..Asked::default() };
    Repository::new().clone_asked(asked).map(|(commit, _)| commit).unwrap_err()
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[test]
fn what_a_server_says_becomes_plain_words() {
    let realm = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"";
    for (line, code) in [
        (realm, RefusalCode::GitAuth),
        ("403 Forbidden", RefusalCode::GitAuth),
        ("404 Not Found", RefusalCode::GitNotFound),
        ("500 Oh", RefusalCode::GitUnreachable),
    ] {
        let refusal = refused(&server(status(line)).0, None);
        assert_eq!(refusal.code, code, "{line}: {refusal}");
        assert!(!refusal.hint.is_empty());
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/r", listener.local_addr().unwrap());
    drop(listener);
    let refusal = refused(&url, None);
    assert_eq!(refusal.code, RefusalCode::GitUnreachable, "{refusal}");
}

#[test]
fn a_token_goes_to_its_host_alone_and_into_no_message() {
    let token = "s3cr3t-t0ken";
    let (target, target_heads) = server(status("404 Not Found"));
    let redirect = format!("301 Moved\r\nLocation: {target}/info/refs?service=git-upload-pack");
    let (url, heads) = server(status(&redirect));
    let refusal = refused(&url, Some(token));
    assert!(!refusal.message.contains(token) && !refusal.hint.contains(token), "{refusal}");
    let head = heads.recv().unwrap();
    assert!(head.contains("Authorization: Basic Z2l0OnMzY3IzdC10MGtlbg=="), "{head}");
    assert!(target_heads.try_recv().is_err(), "a redirect was followed with a token at hand");
    // The control: without a token the redirect is followed, as hosts that rename repositories need.
    let (url, _heads) = server(status(&redirect));
    refused(&url, None);
    assert!(!target_heads.recv().unwrap().contains("Authorization"));
}

/// A stand-in for ssh: checks what it is called with, notes it down, and runs what the other machine would.
const SSH: &str = r#"#!/bin/sh
test "$1" = -F || exit 9
{ echo "$@"; cat "$2"; cat "$(sed -n 's/^IdentityFile //p' "$2")"; } >> NOTES
for last; do :; done
exec /bin/sh -c "$last"
"#;

#[test]
fn ssh_gets_its_key_by_a_file_and_nothing_from_the_machine() {
    let repository = Repository::new();
    let (bin, notes) = (repository.beside("bin"), repository.beside("notes"));
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("ssh"), SSH.replace("NOTES", notes.to_str().unwrap())).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
    for url in [
        format!("ssh://git@127.0.0.1:2222{}", repository.path().display()),
        format!("git@127.0.0.1:{}", repository.path().display()),
    ] {
        let asked = Asked {
            url: Some(url),
            deploy_key: Some(key),
            env: vec![("PATH".into(), path.clone()), ("GIT_SSH_COMMAND".into(), "false".into())],
            ..Asked::default()
        };
        let (_, files) = repository.clone_asked(asked).unwrap();
        assert!(files.contains_key("index.html"));
    }
    let notes = fs::read_to_string(notes).unwrap();
    assert!(notes.contains("git@127.0.0.1 git-upload-pack"), "{notes}");
    assert!(notes.contains("-p 2222") && notes.contains(key), "{notes}");
    for line in ["IdentitiesOnly yes", "BatchMode yes", "StrictHostKeyChecking accept-new", "IdentityAgent none"] {
        assert!(notes.contains(line), "{line}");
    }
}
