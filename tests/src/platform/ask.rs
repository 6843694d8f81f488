//! Asking a platform: by the command line, by the API, as a visitor; and where it is.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use skylift_client::Client;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Platform;
use crate::app::App;
use crate::census::Census;
use crate::cli::Ran;
use crate::executable;
use crate::http::{Request, Response};
use crate::wait::PATIENCE;

impl Platform {
    /// Runs a command of the command line against it.
    pub async fn cli(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ran = timeout(PATIENCE * 5, command.output()).await.expect("the command ends");
        Ran::new(ran.unwrap())
    }

    /// Begins a command that goes on; what it prints is read while it does.
    pub fn begin_cli(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// The same, which is talked to as well.
    pub fn talk_cli(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(executable::path());
        // In front, since everything behind the command of `run` belongs to that.
        command.arg("--data").arg(&self.data).args(arguments);
        command.env("XDG_CACHE_HOME", self.home.path().join("cache"));
        command.env("XDG_CONFIG_HOME", self.home.path().join("config"));
        command.env("XDG_STATE_HOME", self.home.path().join("state"));
        for name in ["SKYLIFT_URL", "SKYLIFT_TOKEN"] {
            command.env_remove(name);
        }
        if !self.address.ip().is_loopback() {
            // What the data folder names is in another network.
            command.env("SKYLIFT_URL", self.url()).env("SKYLIFT_TOKEN", self.token());
        }
        command
    }

    /// Makes an app.
    pub async fn app(&self, name: &str) -> App<'_> {
        let app = App { platform: self, name: name.parse().unwrap() };
        self.client().create_app(&app.name).await.unwrap();
        app
    }

    /// An app that exists.
    pub fn existing(&self, name: &str) -> App<'_> {
        App { platform: self, name: name.parse().unwrap() }
    }

    /// Sends a request to whatever host it names; to the platform itself where it names none.
    pub async fn send(&self, request: Request) -> Response {
        request.send(self.address()).await
    }

    /// Sends a request to the platform itself, with the owner's token.
    pub async fn api(&self, request: Request) -> Response {
        self.send(request.host("localhost").token(&self.token())).await
    }

    /// Gets a page of a host, such as `hello.localhost`.
    pub async fn get(&self, host: &str, path: &str) -> Response {
        self.send(Request::get(path).host(host)).await
    }

    /// A client with the owner's token.
    pub fn client(&self) -> Client {
        Client::new(self.url().parse().unwrap(), Some(&self.token())).unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The owner's token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.data.join("owner-token")).unwrap()
    }

    /// What of it and of all it started can be seen on this machine.
    pub fn census(&self) -> Census {
        Census::of(self.home.path(), &self.processes)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }
}
