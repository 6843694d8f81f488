//! Git sources: cloned in a sandbox, out of which only frames come.

use anyhow::Context;
use serde::Deserialize;
use skylift_model::source::{Commit, Source};
use skylift_model::wire::Stream;
use skylift_model::{Digest, Manifest};
use skylift_sandbox::{Mount, Spec, Stdin};
use skylift_store::BuildInput;
use tokio::io::AsyncWriteExt;

use super::outcome::{Stop, disk_full, failure, intake_stop, judge};
use super::{Build, Builder};
use crate::blob_sink::BlobSink;
use crate::cell::{Bounds, Cell, Ended, own_command};
use crate::checkout::Workplace;
use crate::client::Client;
use crate::frames::{IntakeError, Received, receive};
use crate::git::clone::CloneSpec;
use crate::git::{GitAddress, GitRef, Scheme, commit_of_note};

/// The secrets of a Git source, as the API sealed them.
#[derive(Default, Deserialize)]
struct GitSecret {
    token: Option<String>,
    deploy_key: Option<String>,
}

/// How many times a server that cannot be reached is tried in one attempt.
const TRIES: u32 = 2;

impl Builder {
    /// What of a Git source's secret must not be seen in the log.
    pub(super) fn git_secrets(&self, input: &BuildInput) -> Result<Vec<String>, Stop> {
        let secret = self.git_secret(input)?;
        Ok(secret.token.into_iter().chain(secret.deploy_key).collect())
    }

    fn git_secret(&self, input: &BuildInput) -> Result<GitSecret, Stop> {
        let Some(sealed) = &input.secret else { return Ok(GitSecret::default()) };
        let opened = self.key.open(&format!("git/{}", input.deployment.app), sealed).context("open the Git secret")?;
        Ok(serde_json::from_slice(&opened).context("read the Git secret")?)
    }
}

impl Build<'_> {
    /// Clones, stores the files, and notes which commit they are.
    pub(super) async fn clone_git(&self, url: &str, branch: Option<&str>) -> Result<(Digest, Manifest), Stop> {
        let address = GitAddress::parse(url, &self.builder.settings.git_policy())
            .map_err(|error| Stop::Failed(failure("fetch", &error.to_string())))?;
        let reference: Option<GitRef> = branch
            .map(str::parse)
            .transpose()
            .map_err(|error: crate::git::InvalidRef| Stop::Failed(failure("fetch", &error.to_string())))?;
        self.log
            .say(
                "fetch",
                format!("cloning {address} ({})", reference.as_ref().map_or("default branch", GitRef::as_str)),
            )
            .await;
        let mut tried = 0;
        let received = loop {
            tried += 1;
            match self.try_clone(&address, reference.as_ref()).await {
                Err(Stop::Failed(failure)) if tried < TRIES && failure.message.contains("cannot be reached") => {
                    self.log.say("fetch", "trying once more").await;
                }
                other => break other?,
            }
        };
        let note = received.note.unwrap_or_default();
        let commit = commit_of_note(&note).context("read which commit was fetched")?;
        let first_line = commit.message.lines().next().unwrap_or_default().to_owned();
        self.log.say("fetch", format!("commit {} by {}: {first_line}", commit.hash, commit.author)).await;
        // The clone's own `.git` is always among them.
        let left_out = received.skipped.saturating_sub(1);
        if left_out > 0 {
            self.log.say("fetch", format!("left out: {left_out} (node_modules, .env*)")).await;
        }
        let digest = self.note_fetched(url, branch, commit, &received.manifest).await?;
        Ok((digest, received.manifest))
    }

    async fn note_fetched(
        &self,
        url: &str,
        branch: Option<&str>,
        commit: Commit,
        manifest: &Manifest,
    ) -> Result<Digest, Stop> {
        let list = serde_json::to_vec(manifest).context("write the source's list")?;
        let digest: Digest = self.builder.blobs.put(list).await.context("store the source's list")?;
        let branch = branch.map(str::to_owned);
        let source = Source::Git { url: url.to_owned(), branch, commit: Some(commit) };
        let (store, now) = (&self.builder.store, self.builder.clock.now());
        store.set_fetched(self.lease.clone(), source, digest, manifest.clone(), now).await?;
        Ok(digest)
    }

    async fn try_clone(&self, address: &GitAddress, reference: Option<&GitRef>) -> Result<Received, Stop> {
        let root = self.builder.folder.join("work").join(format!("{}-fetch", self.input.deployment.id));
        let place = Workplace::create(root, self.uid())?;
        let bounds = Bounds { egress: Some(self.builder.settings.policy_for(address)), ..self.bounds(&place) };
        let client = self.client().await?;
        let mut cell = Cell::start(self.clone_spec(&place, address, client)?, bounds, "fetch", Some(&self.log)).await?;
        let (mut stdin, stdout, stderr) = (cell.take_stdin()?, cell.take_stdout()?, cell.take_stderr()?);
        let told = serde_json::to_vec(&self.what_to_clone(address, reference)?).context("write what to clone")?;
        let limits = self.builder.settings.source;
        let mut sink = BlobSink::new(self.builder.blobs.clone());
        let mut received = None;
        let reading = async {
            let send = async {
                // A sandbox that ended early says why on its output.
                let _ = stdin.write_all(&told).await;
                drop(stdin);
            };
            let words = self.log.follow("fetch", Stream::Stderr, stderr, self.builder.settings.output_bytes);
            let (frames, (), words) = tokio::join!(receive(stdout, &limits, &mut sink), send, words);
            let kept = frames.is_ok() && words.is_some();
            received = Some(frames);
            kept
        };
        let ended = cell.finish(reading, self.cancel.clone()).await?;
        let received = match received {
            Some(Ok(received)) => received,
            // What Git says of a full disk is of no help.
            Some(Err(_)) if matches!(ended, Ended::DiskFull) => return Err(Stop::Failed(disk_full("fetch"))),
            Some(Err(IntakeError::Truncated)) | None => {
                let settings = &self.builder.settings;
                judge("fetch", "git fetch", ended, settings.memory_bytes, settings.step_seconds)?;
                return Err(Stop::Fault(anyhow::anyhow!("the clone ended early")));
            }
            Some(Err(error)) => return Err(intake_stop("fetch", error)),
        };
        sink.flush().await.context("store the fetched files")?;
        Ok(received)
    }

    fn what_to_clone(&self, address: &GitAddress, reference: Option<&GitRef>) -> Result<CloneSpec, Stop> {
        let secret = self.builder.git_secret(&self.input)?;
        Ok(CloneSpec {
            url: address.to_string(),
            protocol: address.scheme().protocol().to_owned(),
            origin: address.origin(),
            reference: reference.map(|reference| reference.as_str().to_owned()),
            token: secret.token.filter(|_| matches!(address.scheme(), Scheme::Https | Scheme::Http)),
            deploy_key: secret.deploy_key,
            hosts_are_known: self.builder.settings.git.known_hosts.is_some(),
            folder: "/work".to_owned(),
            home: "/tmp/home".to_owned(),
            limits: self.builder.settings.source,
        })
    }

    fn clone_spec(&self, place: &Workplace, address: &GitAddress, client: &Client) -> Result<Spec, Stop> {
        let settings = &self.builder.settings;
        let mut spec = own_command(&["sandbox-clone"]);
        spec.stdin = Stdin::Pipe;
        spec.stderr = skylift_sandbox::Output::Pipe;
        spec.uid = self.uid();
        spec.gid = self.uid();
        spec.cwd = "/work".into();
        spec.env.extend(
            client
                .env
                .iter()
                .filter(|(name, _)| !name.eq_ignore_ascii_case("no_proxy"))
                .map(|(n, v)| (n.clone(), v.clone())),
        );
        spec.limits.memory_bytes = settings.memory_bytes;
        spec.limits.cpu_millicores = settings.millicores();
        spec.limits.file_bytes = settings.disk_bytes;
        spec.mounts.extend(client.mounts());
        let path = |path: &std::path::Path| skylift_sandbox::Source::Path(path.to_owned());
        spec.mounts.push(Mount::Writable { from: path(&place.source()), to: "/work".into() });
        if let Some(hosts) = &settings.git.known_hosts {
            spec.mounts.push(Mount::ReadOnly { from: path(hosts), to: "/run/known_hosts".into() });
        }
        if let Some(folder) = address.folder() {
            let real = folder.canonicalize();
            let allowed =
                real.ok().filter(|real| settings.git.allow_file_paths.iter().any(|allowed| real.starts_with(allowed)));
            let Some(real) = allowed else {
                return Err(Stop::Failed(failure("fetch", &format!("there is no repository at {address}"))));
            };
            spec.mounts.push(Mount::ReadOnly { from: path(&real), to: folder.to_owned() });
        }
        Ok(spec)
    }
}
