//! Real repositories on disk, and clones of them as the sandbox makes them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use skylift_build::frames::{IntakeError, IntakeLimits, Refusal};
use skylift_build::git::clone::{CloneSpec, clone_main};
use skylift_build::git::{CloneNote, GitAddress, GitPolicy, GitRef};
use skylift_model::source::Commit;

use super::received::{Files, received};

/// A repository, a place to clone it to, and a file that no attack may make.
pub(crate) struct Repository {
    root: tempfile::TempDir,
}

/// What a clone is asked for, besides the repository.
#[derive(Default)]
pub(crate) struct Asked<'a> {
    pub(crate) url: Option<String>,
    pub(crate) reference: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
    pub(crate) deploy_key: Option<&'a str>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stall_seconds: Option<u64>,
    pub(crate) limits: Option<IntakeLimits>,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let repository = Self::unborn(&[]);
        repository.write("index.html", "<p>");
        repository.commit("First\n\nWith a body.");
        repository
    }

    pub(crate) fn unborn(options: &[&str]) -> Self {
        let repository = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(repository.path()).unwrap();
        repository.git(&[&["init", "-q", "-b", "main"], options].concat());
        repository
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("repo")
    }

    /// A path beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// What an attack that succeeds makes.
    pub(crate) fn canary(&self) -> PathBuf {
        self.beside("canary")
    }

    /// A program that makes the canary.
    pub(crate) fn attack(&self) -> String {
        format!("#!/bin/sh\ntouch {}\n", self.canary().display())
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the repository, as a user whose settings are no part of the test.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, "")
    }

    pub(crate) fn git_with(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "core.protectNTFS=false"]);
        command.args(arguments).current_dir(self.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits a tree that no work tree could give: lines as `git mktree` takes them.
    pub(crate) fn commit_tree(&self, lines: &str) {
        let tree = self.git_with(&["mktree", "--missing"], lines);
        let commit = self.git(&["commit-tree", &tree, "-m", "crafted"]);
        self.git(&["update-ref", "refs/heads/main", &commit]);
    }

    pub(crate) fn blob(&self, text: &str) -> String {
        self.git_with(&["hash-object", "-w", "--stdin"], text)
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    pub(crate) fn clone(&self) -> Result<(Commit, Files), Refusal> {
        self.clone_asked(Asked::default())
    }

    pub(crate) fn clone_at(&self, reference: &str) -> Result<(Commit, Files), Refusal> {
        self.clone_asked(Asked { reference: Some(reference), ..Asked::default() })
    }

    pub(crate) fn clone_asked(&self, asked: Asked<'_>) -> Result<(Commit, Files), Refusal> {
        self.clone_noted(asked).map(|(note, files)| (note.commit, files))
    }

    /// A clone with all that it says of itself.
    pub(crate) fn clone_noted(&self, asked: Asked<'_>) -> Result<(CloneNote, Files), Refusal> {
        let url = asked.url.unwrap_or_else(|| self.url());
        let policy = GitPolicy {
            allow_file_paths: vec![self.root.path().to_owned()],
            allow_insecure_hosts: vec!["127.0.0.1".to_owned()],
        };
        let address = GitAddress::parse(&url, &policy).unwrap();
        let reference = asked.reference.map(|reference| reference.parse::<GitRef>().unwrap().to_string());
        let place = tempfile::tempdir_in(self.root.path()).unwrap();
        let inside = |name: &str| place.path().join(name).display().to_string();
        let spec = CloneSpec {
            url: address.to_string(),
            protocol: address.scheme().protocol().to_owned(),
            origin: address.origin(),
            reference,
            token: asked.token.map(str::to_owned),
            deploy_key: asked.deploy_key.map(str::to_owned),
            hosts_are_known: false,
            folder: inside("src"),
            home: inside("home"),
            stall_seconds: asked.stall_seconds.unwrap_or(30),
            limits: asked.limits.unwrap_or_default(),
        };
        let spec = serde_json::to_vec(&spec).unwrap();
        let mut env = asked.env;
        if !env.iter().any(|(name, _)| name == "PATH") {
            env.push(("PATH".into(), std::env::var("PATH").unwrap()));
        }
        let mut stream = Vec::new();
        clone_main(spec.as_slice(), env, &mut stream).unwrap();
        let (received, files) = received(&stream, &IntakeLimits::default()).map_err(|error| match error {
            IntakeError::Refused(refusal) => refusal,
            error => error.as_refusal().unwrap_or_else(|| panic!("{error}")),
        })?;
        Ok((CloneNote::parse(&received.note.unwrap()).unwrap(), files))
    }
}
