//! The addresses that code may be cloned from.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use skylift_egress::Target;

/// The longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 2048;

/// What the owner allows besides public https and ssh.
#[derive(Clone, Debug, Default)]
pub struct GitPolicy {
    /// Folders whose repositories may be cloned with `file://`.
    pub allow_file_paths: Vec<PathBuf>,
    /// Hosts that may be cloned from over `http://` and `git://`.
    pub allow_insecure_hosts: Vec<String>,
}

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Ssh,
    Http,
    Git,
    File,
}

impl Scheme {
    /// The name that Git knows it by.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::Git => "git",
            Self::File => "file",
        }
    }
}

/// An address that was checked. Its text is what Git gets, rebuilt from its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitAddress {
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// Starts with `/`, except in `user@host:path`, whose path starts at the user's home.
    path: String,
}

/// Why a text is not the address of a repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("the Git address is empty or longer than {ADDRESS_BYTES_MAX} bytes")]
    Length,
    #[error("the Git address has a character that no address needs")]
    Character,
    #[error("the Git address has a scheme that is not allowed here")]
    Scheme,
    #[error("the Git address carries a user or password")]
    Credentials,
    #[error("the Git address has no proper user name before the `@`")]
    User,
    #[error("the Git address has no proper host: {0}")]
    Host(String),
    #[error("the Git address has no proper port")]
    Port,
    #[error("the Git address has no proper path")]
    Path,
    #[error("`{0}` is not among the folders that may be cloned from")]
    Folder(String),
    #[error("`{0}` may not be cloned from without encryption")]
    Insecure(String),
}

impl InvalidAddress {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Credentials => "send the secret apart: --git-token-file, or `token` in the API",
            Self::Folder(_) => "the owner can allow folders: [build.git] allow_file_paths",
            Self::Insecure(_) => "use https, or ask the owner to allow the host: [build.git] allow_insecure_hosts",
            _ => "write https://host/path, ssh://user@host/path or user@host:path",
        }
    }
}

impl GitAddress {
    /// Checks an address.
    pub fn parse(text: &str, policy: &GitPolicy) -> Result<Self, InvalidAddress> {
        if text.is_empty() || text.len() > ADDRESS_BYTES_MAX {
            return Err(InvalidAddress::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/:@%+=,[]".contains(&b)) {
            return Err(InvalidAddress::Character);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Self::parse_scp(text) };
        let scheme = match scheme {
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            "http" => Scheme::Http,
            "git" => Scheme::Git,
            "file" => return Self::parse_file(rest, policy),
            _ => return Err(InvalidAddress::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find('/').ok_or(InvalidAddress::Path)?);
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) if scheme == Scheme::Ssh => (Some(parse_user(user)?), authority),
            Some(_) => return Err(InvalidAddress::Credentials),
            None => (None, authority),
        };
        let (host, port) = parse_authority(authority)?;
        let address = Self { scheme, user, host, port, path: parse_path(path)? };
        let insecure = matches!(scheme, Scheme::Http | Scheme::Git);
        if insecure && !policy.allow_insecure_hosts.contains(&address.host) {
            return Err(InvalidAddress::Insecure(address.host));
        }
        Ok(address)
    }

    /// `user@host:path`, which is ssh.
    fn parse_scp(text: &str) -> Result<Self, InvalidAddress> {
        let (user, rest) = text.split_once('@').ok_or(InvalidAddress::Scheme)?;
        let host_end = if rest.starts_with('[') { rest.find(']').unwrap_or_default() } else { 0 };
        let colon = rest.get(host_end..).and_then(|rest| rest.find(':')).ok_or(InvalidAddress::Scheme)? + host_end;
        let (host, path) = rest.split_at_checked(colon).ok_or(InvalidAddress::Scheme)?;
        let path = path.strip_prefix(':').ok_or(InvalidAddress::Scheme)?;
        let (host, _) = parse_authority(host)?;
        let path = match path.strip_prefix('/') {
            Some(_) => parse_path(path)?,
            None => parse_path(&format!("/{path}"))?.split_off(1),
        };
        Ok(Self { scheme: Scheme::Ssh, user: Some(parse_user(user)?), host, port: None, path })
    }

    fn parse_file(path: &str, policy: &GitPolicy) -> Result<Self, InvalidAddress> {
        let path = parse_path(path)?;
        if path.contains('%') {
            return Err(InvalidAddress::Path);
        }
        let plain = Path::new(&path).components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !plain || !policy.allow_file_paths.iter().any(|folder| Path::new(&path).starts_with(folder)) {
            return Err(InvalidAddress::Folder(path));
        }
        Ok(Self { scheme: Scheme::File, user: None, host: String::new(), port: None, path })
    }

    /// How the repository is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The port that is connected to; `None` for a folder of this machine.
    pub fn port(&self) -> Option<u16> {
        let default = match self.scheme {
            Scheme::Https => 443,
            Scheme::Ssh => 22,
            Scheme::Http => 80,
            Scheme::Git => 9418,
            Scheme::File => return None,
        };
        Some(self.port.unwrap_or(default))
    }

    /// The repository's folder, for `file://`.
    pub fn folder(&self) -> Option<&Path> {
        (self.scheme == Scheme::File).then(|| Path::new(&self.path))
    }

    /// Scheme and host, which is what a token is for.
    pub fn origin(&self) -> String {
        let whole = self.to_string();
        whole.strip_suffix(&self.path).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for GitAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(user), false) = (&self.user, self.path.starts_with('/')) {
            return write!(f, "{user}@{}:{}", self.host, self.path);
        }
        write!(f, "{}://", self.scheme.protocol())?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

fn parse_user(user: &str) -> Result<String, InvalidAddress> {
    if user.contains(':') {
        return Err(InvalidAddress::Credentials);
    }
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if user.is_empty() || user.starts_with('-') || !user.bytes().all(fine) {
        return Err(InvalidAddress::User);
    }
    Ok(user.to_owned())
}

fn parse_authority(authority: &str) -> Result<(String, Option<u16>), InvalidAddress> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.map(|port| match port.parse() {
        Ok(number @ 1..) if digits(port) => Ok(number),
        _ => Err(InvalidAddress::Port),
    });
    let target = Target::parse(host).map_err(|error| InvalidAddress::Host(error.to_string()))?;
    Ok((target.to_string(), port.transpose()?))
}

fn parse_path(path: &str) -> Result<String, InvalidAddress> {
    let inner = path.trim_matches('/');
    let fine = |part: &str| !part.is_empty() && part != ".." && part != "." && !part.starts_with('-');
    let whole = path.starts_with('/') && !inner.is_empty() && inner.split('/').all(fine);
    if !whole || path.contains(['@', '[', ']']) || !percents_are_plain(path) {
        return Err(InvalidAddress::Path);
    }
    Ok(format!("/{inner}"))
}

/// Whether every `%` stands for one harmless character: Git decodes them, after which a path with a control character or
/// with one of those that a path is cut and climbed by would be another path.
fn percents_are_plain(path: &str) -> bool {
    path.split('%').skip(1).all(|after| {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| !byte.is_ascii_control() && !b"./\\%-".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> GitPolicy {
        GitPolicy { allow_file_paths: vec!["/srv/git".into()], allow_insecure_hosts: vec!["git.lan".to_owned()] }
    }

    #[test]
    fn ordinary_addresses_are_rebuilt_from_their_parts() {
        for (text, rebuilt) in [
            ("https://git.example.org/you/site.git", "https://git.example.org/you/site.git"),
            ("https://Git.Example.org:8443/you/site/", "https://git.example.org:8443/you/site"),
            ("ssh://git@git.example.org:2222/you/site.git", "ssh://git@git.example.org:2222/you/site.git"),
            ("git@git.example.org:you/site.git", "git@git.example.org:you/site.git"),
            ("git@git.example.org:/srv/site.git", "ssh://git@git.example.org/srv/site.git"),
            ("git@[2001:db8::1]:site.git", "git@[2001:db8::1]:site.git"),
            ("https://git.example.org/~you/a+b", "https://git.example.org/~you/a+b"),
            ("http://git.lan/x", "http://git.lan/x"),
            ("git://git.lan:9419/x", "git://git.lan:9419/x"),
            ("file:///srv/git/site.git", "file:///srv/git/site.git"),
            ("https://[2001:db8::1]:3000/x", "https://[2001:db8::1]:3000/x"),
        ] {
            assert_eq!(GitAddress::parse(text, &policy()).map(|address| address.to_string()), Ok(rebuilt.to_owned()));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "x",
            "ext::sh -c id",
            "ext::sh%20-c%20id",
            "fd::3",
            "fd::17/foo",
            "file:///etc",
            "file:///srv/git/../../etc",
            "file://host/srv/git/x",
            "file:///srv/gitx",
            "--upload-pack=x",
            "-x",
            "ssh://-oProxyCommand=id/x",
            "ssh://-oX@host/x",
            "git@-oX:y",
            "-git@host:x",
            "git@host:-x",
            "https://u:p@h.example/x",
            "https://u@h.example/x",
            "ssh://u:p@h.example/x",
            "https:///h",
            "https://h.example",
            "https://h.example/",
            "https://h.example/\n",
            "https://h.example/x\r\nHost: y",
            "https://h.example/\0",
            "https://h.example/a b",
            "https://h.example/$(id)",
            "https://h.example/a;id",
            "https://h.example/`id`",
            "https://h.example/a?b",
            "https://h.example/a#b",
            "https://h.example/../x",
            "https://h.example/a/./b",
            "https://h.example/a//b",
            "https://h.example/-x",
            "https://h.example:0/x",
            "https://h.example:99999/x",
            "https://h.example:x/x",
            "https://h.example:/x",
            "https://ex\u{430}mple.org/x",
            "https://0x7f.1/x",
            "https://2130706433/x",
            "https://127.1/x",
            "https://-h.example/x",
            "https://h..example/x",
            "http://h.example/x",
            "git://h.example/x",
            "ftp://h.example/x",
            "https://[::1%25eth0]/x",
            "https://h\\example/x",
            "HTTPS://h.example/x",
            "javascript://h.example/x",
            "https://h.example:+443/x",
            "https://h.example:443:443/x",
            "https://h.example:000443/x",
            "https://h.example/%0a",
            "https://h.example/%00",
            "https://h.example/%2e%2e/x",
            "https://h.example/a%2fb",
            "https://h.example/%2dx",
            "https://h.example/a%zz",
            "https://h.example/a%",
            "file:///srv/git/%2e%2e/x",
            "file:///srv/git/a%20b",
            "https://github.com@h.example/x",
            "https://@h.example/x",
            "git@h.example:",
            "git@h.example:/",
            "git@h.example:../x",
            "git@[::1:x",
            "h.example:x",
            "/srv/git/x",
        ] {
            assert!(GitAddress::parse(text, &policy()).is_err(), "{text:?}");
        }
        let long = format!("https://h.example/{}", "a".repeat(3000));
        assert_eq!(GitAddress::parse(&long, &policy()), Err(InvalidAddress::Length));
    }

    #[test]
    fn a_secret_in_an_address_is_refused_with_a_way_out() {
        let error = GitAddress::parse("https://token@h.example/x", &policy()).unwrap_err();
        assert_eq!(error, InvalidAddress::Credentials);
        assert!(error.hint().contains("--git-token-file"));
        assert!(!error.to_string().contains("token@"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_is_accepted_again_as_it_is_written(text in "(https|ssh|git|file)://[a-z@:./%0-9-]{0,40}") {
            if let Ok(address) = GitAddress::parse(&text, &policy()) {
                let written = address.to_string();
                proptest::prop_assert_eq!(GitAddress::parse(&written, &policy()), Ok(address));
                proptest::prop_assert!(!written.contains("/-") && !written.contains("@-"));
            }
        }
    }
}
