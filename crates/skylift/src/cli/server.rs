//! Which server to speak to, and with which token.
//!
//! By flag, then environment, then `skylift login`'s file, then the data folder of a server on this machine. A token
//! that was remembered for one server is never sent to another.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use skylift_client::BaseUrl;

use super::Flags;
use super::login_file::{self, Login};
use super::problem::Problem;
use crate::data_dir::{LISTEN_FILE, OWNER_TOKEN_FILE, default_data_dir};

/// A server and the token for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) url: BaseUrl,
    pub(super) token: String,
}

/// Finds the server that flags, environment and files name.
pub(super) fn find(flags: &Flags) -> Result<Server, Problem> {
    let url = flags.url.as_deref().filter(|url| !url.is_empty()).map(parse_url).transpose()?;
    let token = flags.token.as_deref().map(str::trim).filter(|token| !token.is_empty());
    if let (Some(url), Some(token)) = (&url, token) {
        return Ok(Server { url: url.clone(), token: token.to_owned() });
    }
    let known = match &flags.data {
        Some(data) => vec![local(data)?.ok_or_else(|| no_server_ran_in(data))?],
        None => {
            let login = login_file::read()?.map(|Login { url, token }| Server { url, token });
            let here = default_data_dir().map(|data| local(&data)).transpose()?.flatten();
            login.into_iter().chain(here).collect()
        }
    };
    choose(url, token, &known)
}

/// Reads an address.
pub(super) fn parse_url(text: &str) -> Result<BaseUrl, Problem> {
    text.parse().map_err(|error: skylift_client::base_url::InvalidBaseUrl| Problem::usage(error.to_string()))
}

/// Completes what was given by what is known, the first first.
fn choose(url: Option<BaseUrl>, token: Option<&str>, known: &[Server]) -> Result<Server, Problem> {
    let found = match &url {
        Some(url) => known.iter().find(|server| server.url.is_same_server(url)),
        None => known.first(),
    };
    let token = token.map(str::to_owned).or_else(|| found.map(|server| server.token.clone()));
    match (url.or_else(|| found.map(|server| server.url.clone())), token) {
        (Some(url), Some(token)) => Ok(Server { url, token }),
        (Some(url), None) => Err(Problem::NoToken { url: url.to_string() }),
        (None, _) => Err(Problem::NoServer),
    }
}

/// The server whose data folder this is; `None` where there is none.
fn local(data: &Path) -> Result<Option<Server>, Problem> {
    let Some(token) = read(&data.join(OWNER_TOKEN_FILE))? else { return Ok(None) };
    let listen = read(&data.join(LISTEN_FILE))?.unwrap_or_else(|| "http://localhost:8080".to_owned());
    let url = if listen.contains("://") { listen } else { format!("http://{listen}") };
    Ok(Some(Server { url: parse_url(&url)?, token }))
}

fn read(file: &PathBuf) -> Result<Option<String>, Problem> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(Problem::read(file, source)),
    }
}

fn no_server_ran_in(data: &Path) -> Problem {
    Problem::NotFound {
        message: format!("{} is no data folder: it has no {OWNER_TOKEN_FILE}", data.display()),
        hint: format!("`skylift up --data {}` makes it one", data.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, token: &str) -> Server {
        Server { url: url.parse().unwrap(), token: token.to_owned() }
    }

    fn check(url: Option<&str>, token: Option<&str>, expected: Result<Server, &str>) {
        let known = [server("https://remote.example", "from-login"), server("http://localhost:8080", "from-folder")];
        let chosen = choose(url.map(|url| url.parse().unwrap()), token, &known);
        assert_eq!(chosen.map_err(|problem| problem.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn what_is_not_given_is_taken_from_the_login_then_from_the_data_folder() {
        check(None, None, Ok(server("https://remote.example", "from-login")));
        check(None, Some("given"), Ok(server("https://remote.example", "given")));
        check(Some("http://127.0.0.1:8080"), None, Ok(server("http://127.0.0.1:8080", "from-folder")));
        check(Some("http://other.example"), Some("given"), Ok(server("http://other.example", "given")));
        assert!(matches!(choose(None, Some("given"), &[]), Err(Problem::NoServer)));
    }

    #[test]
    fn a_token_remembered_for_one_server_is_not_sent_to_another() {
        check(Some("https://evil.example"), None, Err("no token for https://evil.example is known"));
        check(Some("http://remote.example"), None, Err("no token for http://remote.example is known"));
    }

    #[test]
    fn a_data_folder_names_its_server() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(local(data.path()).unwrap(), None);
        fs::write(data.path().join(OWNER_TOKEN_FILE), "secret\n").unwrap();
        assert_eq!(local(data.path()).unwrap(), Some(server("http://localhost:8080", "secret")));
        fs::write(data.path().join(LISTEN_FILE), "http://localhost:9999\n").unwrap();
        assert_eq!(local(data.path()).unwrap(), Some(server("http://localhost:9999", "secret")));
    }
}
