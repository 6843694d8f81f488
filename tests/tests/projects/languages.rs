//! Programs in other languages than JavaScript: built with the tools that are there, started, and asked over HTTP.

use skylift_model::plan::ProjectKind;
use skylift_tests::{App, Folder, Platform, skip};

/// Deploys a program and asks it who it is.
async fn says(folder: &Folder, kind: ProjectKind, expected: &str) {
    let platform = Platform::start().await;
    let app: App<'_> = platform.app("hello").await;
    let deployment = app.deploy(folder).await;
    assert_eq!(deployment.plan.map(|plan| plan.kind), Some(kind));
    assert_eq!(app.get("/").await.brief(), format!("200 {expected}"));
}

#[tokio::test]
async fn a_go_program_answers() {
    if !skip::unless_answers("a_go_program_answers", "go", "version") {
        return;
    }
    let program = r#"package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello from ", runtime.Compiler) })
	if err := http.ListenAndServe("0.0.0.0:"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}
"#;
    let folder = Folder::new().file("go.mod", "module hello\n\ngo 1.19\n").file("main.go", program);
    says(&folder, ProjectKind::Go, "hello from gc").await;
}

#[tokio::test]
async fn a_rust_program_answers() {
    let test = "a_rust_program_answers";
    if !skip::unless_program(test, "cargo") || !skip::unless_program(test, "cc") {
        return;
    }
    let program = r#"use std::io::{BufRead, BufReader, Write};

fn main() {
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    for stream in std::net::TcpListener::bind(("0.0.0.0", port)).unwrap().incoming() {
        let mut stream = stream.unwrap();
        let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count();
        let body = if head > 0 { "hello from Rust" } else { "" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes());
    }
}
"#;
    let folder = Folder::new()
        .file("Cargo.toml", "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .file("src/main.rs", program);
    says(&folder, ProjectKind::Rust, "hello from Rust").await;
}

/// The lockfile is as uv writes it; of the places it names only digests are used, what is fetched comes from the server's own index.
#[tokio::test]
async fn a_python_project_locked_by_uv_answers() {
    if !skip::unless_python_packages("a_python_project_locked_by_uv_answers") {
        return;
    }
    let project = "[project]\nname = \"hello\"\nversion = \"0.1.0\"\nrequires-python = \">=3.9\"\ndependencies = [\"itsdangerous\"]\n";
    let lock = r#"version = 1
revision = 1
requires-python = ">=3.9"

[[package]]
name = "hello"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "itsdangerous" }]

[package.metadata]
requires-dist = [{ name = "itsdangerous" }]

[[package]]
name = "itsdangerous"
version = "2.2.0"
source = { registry = "https://index.example/simple" }
wheels = [
    { url = "https://files.example/itsdangerous-2.2.0-py3-none-any.whl", hash = "sha256:c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef", size = 16234 },
]
"#;
    let program = r#"import http.server, importlib.metadata, os
import itsdangerous

class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = itsdangerous.Signer("key").sign("hello").split(b".")[0] + b" from " + importlib.metadata.version("itsdangerous").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Hello).serve_forever()
"#;
    let folder = Folder::new().file("pyproject.toml", project).file("uv.lock", lock).file("main.py", program);
    says(&folder, ProjectKind::Python, "hello from 2.2.0").await;
}
