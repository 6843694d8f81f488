//! Git sources: cloned in a sandbox, out of which only frames come.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use skylift_model::program::ROOT;
use skylift_model::source::{Commit, Source};
use skylift_model::wire::{Failure, Stream};
use skylift_model::{Digest, Manifest};
use skylift_sandbox::{Mount, Spec, Stdin};
use skylift_store::BuildInput;
use tokio::io::AsyncWriteExt;

use super::outcome::{Stop, exit_failure, failure, intake_stop, judge, refused};
use super::{Build, Builder};
use crate::blob_sink::BlobSink;
use crate::cell::{Bounds, Cell, DiskLimit, Ended, own_command};
use crate::checkout::Workplace;
use crate::client::Client;
use crate::frames::{IntakeError, Received, Refusal, RefusalCode, receive};
use crate::git::clone::CloneSpec;
use crate::git::{CloneNote, GitAddress, GitRef, Scheme};
use crate::settings::BuildSettings;

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

/// Whether a second try may go better.
fn may_pass(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::GitUnreachable | RefusalCode::GitMoved)
}

/// Why a clone did not come to its own end.
fn clone_ended(ended: Ended, settings: &BuildSettings) -> Stop {
    let hint = match &ended {
        Ended::TimedOut => Some("the owner can raise [build.git] clone_seconds"),
        Ended::DiskLimit(_) => Some("the owner can raise [build.git] clone_bytes"),
        Ended::DiskFull | Ended::Exited(_) | Ended::TooMuchOutput | Ended::Cancelled => None,
    };
    match judge("fetch", "git fetch", ended, settings.memory_bytes, settings.git.clone_seconds) {
        Err(Stop::Failed(failure)) => {
            Stop::Failed(Failure { hint: hint.map(str::to_owned).or(failure.hint.clone()), ..failure })
        }
        Err(stop) => stop,
        // Git was killed, and we who called it told so and ended well.
        Ok(outcome) if outcome.out_of_memory => {
            Stop::Failed(exit_failure("fetch", "git fetch", &outcome, settings.memory_bytes))
        }
        Ok(_) => Stop::Fault(anyhow::anyhow!("the clone ended early")),
    }
}

impl Build<'_> {
    /// Clones, stores the files, and notes which commit they are.
    pub(super) async fn clone_git(&self, url: &str, branch: Option<&str>) -> Result<(Digest, Manifest), Stop> {
        let address = GitAddress::parse(url, &self.builder.settings.git_policy())
            .map_err(|error| Stop::Failed(failure("fetch", &error.to_string())))?;
        // What an earlier attempt found is what this deployment is of, wherever the branch points by now.
        let wanted = self.commit.get().map(String::as_str).or(branch);
        let reference: Option<GitRef> = wanted
            .map(str::parse)
            .transpose()
            .map_err(|error: crate::git::InvalidRef| Stop::Failed(failure("fetch", &error.to_string())))?;
        self.log
            .say(
                "fetch",
                format!("cloning {address} ({})", reference.as_ref().map_or("default branch", GitRef::as_str)),
            )
            .await;
        let received = self.cloned(&address, reference.as_ref()).await?;
        let note = CloneNote::parse(&received.note.unwrap_or_default()).context("read what was cloned")?;
        let commit = note.commit.clone();
        let first_line = commit.message.lines().next().unwrap_or_default().to_owned();
        self.log.say("fetch", format!("commit {} by {}: {first_line}", commit.hash, commit.author)).await;
        // The clone's own `.git` is always among them.
        let left_out = received.skipped.saturating_sub(1);
        if left_out > 0 {
            self.log.say("fetch", format!("left out: {left_out} (node_modules, .env*)")).await;
        }
        for warning in note.warnings() {
            self.log.say("fetch", warning).await;
        }
        let _ = self.commit.set(commit.hash.clone());
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

    /// Clones, where need be a second time: some trouble passes.
    async fn cloned(&self, address: &GitAddress, reference: Option<&GitRef>) -> Result<Received, Stop> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.try_clone(address, reference).await? {
                Ok(received) => return Ok(received),
                Err(refusal) if tried < TRIES && may_pass(refusal.code) => {
                    self.log.say("fetch", format!("{refusal}; trying once more")).await;
                }
                Err(refusal) => return Err(refused("fetch", &refusal)),
            }
        }
    }

    async fn try_clone(
        &self,
        address: &GitAddress,
        reference: Option<&GitRef>,
    ) -> Result<Result<Received, Refusal>, Stop> {
        let root = self.builder.folder.join("work").join(format!("{}-fetch", self.input.deployment.id));
        let place = Workplace::create(root, self.uid())?;
        let bounds = self.clone_bounds(&place, address);
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
            let expected = matches!(frames, Ok(_) | Err(IntakeError::Refused(_)));
            let kept = expected && words.is_some();
            received = Some(frames);
            kept
        };
        let ended = cell.finish(reading, self.cancel.clone()).await?;
        let received = match received {
            Some(Ok(received)) => received,
            // What Git says of a full disk is of no help.
            Some(Err(_)) if matches!(ended, Ended::DiskFull) => {
                return Err(clone_ended(ended, &self.builder.settings));
            }
            Some(Err(IntakeError::Refused(refusal))) if ended.is_by_itself() => return Ok(Err(refusal)),
            Some(Err(IntakeError::Truncated | IntakeError::Refused(_))) | None => {
                return Err(clone_ended(ended, &self.builder.settings));
            }
            Some(Err(error)) => return Err(intake_stop("fetch", error)),
        };
        sink.flush().await.context("store the fetched files")?;
        Ok(Ok(received))
    }

    fn clone_bounds(&self, place: &Workplace, address: &GitAddress) -> Bounds {
        let settings = &self.builder.settings;
        let bounds = self.bounds(place);
        Bounds {
            time: Duration::from_secs(settings.git.clone_seconds),
            disk: bounds.disk.map(|disk| DiskLimit {
                folders: vec![place.root().to_owned()],
                bytes: settings.git.clone_bytes,
                ..disk
            }),
            egress: Some(settings.policy_for(address)),
            ..bounds
        }
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
            folder: ROOT.to_owned(),
            home: "/tmp/home".to_owned(),
            stall_seconds: self.builder.settings.git.stall_seconds,
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
        spec.cwd = ROOT.into();
        spec.env.extend(
            client
                .env
                .iter()
                .filter(|(name, _)| !name.eq_ignore_ascii_case("no_proxy"))
                .map(|(n, v)| (n.clone(), v.clone())),
        );
        spec.limits.memory_bytes = settings.memory_bytes;
        spec.limits.cpu_millicores = settings.millicores();
        spec.limits.cpu_weight = settings.cpu_weight;
        // A little more, so that whoever meets it has been seen to be over the limit.
        spec.limits.file_bytes = settings.git.clone_bytes.saturating_add(1 << 20);
        spec.mounts.extend(client.mounts());
        let path = |path: &std::path::Path| skylift_sandbox::Source::Path(path.to_owned());
        spec.mounts.push(Mount::Writable { from: path(&place.source()), to: ROOT.into() });
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
