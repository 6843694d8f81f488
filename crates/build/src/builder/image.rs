//! Projects with a Dockerfile: the engine builds an image, which is the artifact.
//!
//! The source goes to the engine as an archive that is made while it is sent. What the engine and the commands print is the
//! build's log. Giving the request up ends the build there, commands included.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use skylift_docker::dockerfile::{self, OWN_IMAGES, Refusal};
use skylift_docker::{BuildOrder, Building, Engine, EngineError, Image, Made, Progress};
use skylift_model::plan::Plan;
use skylift_model::wire::{Failure, Stream};
use skylift_model::{Digest, FileEntry, FileMode, Manifest, Program};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::outcome::{Stop, failure};
use super::{Build, joined};

mod context;

const STEP: &str = "build";
/// The names of a Dockerfile, the first that is there being taken.
const NAMES: [&str; 2] = ["Dockerfile", "Containerfile"];
const DOCKERFILE_BYTES_MAX: u64 = 1 << 20;
/// What the engine says when an image that it starts from brings steps of its own.
const BROUGHT_STEPS: &str = "# Executing ";

/// Where images are built.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    pub engine: Engine,
    /// What tells images as this node's: a label and its value.
    pub label: (String, String),
}

impl Build<'_> {
    /// Builds an image. Returns the digest of the program, and of its list of files, which is empty.
    pub(super) async fn build_image(&self, source: &Manifest, plan: &Plan) -> Result<(Digest, Digest), Stop> {
        let Some(images) = &self.builder.images else { return Err(Stop::Failed(no_engine(plan))) };
        let dockerfile = self.dockerfile(source, plan).await?;
        let order = self.build_order(&images.label, dockerfile);
        self.progress(STEP, &format!("docker build -t {} .", order.tag)).await?;
        let made = Made::default();
        let built = self.built(&images.engine, &order, source, plan, made.clone()).await;
        // To its end, also where this build is given up meanwhile.
        let (engine, is_given_up) = (images.engine.clone(), built.is_err());
        let _ = tokio::spawn(async move { engine.forget(&made, is_given_up).await }).await;
        let id = built?;
        let image = images.engine.image(&id).await.map_err(fault)?;
        if !image.has_command {
            let hint =
                Some("say what it starts: CMD or ENTRYPOINT, the command that listens on 0.0.0.0:$PORT".to_owned());
            return Err(Stop::Failed(Failure { hint, ..failure("output", "the image does not say what it starts") }));
        }
        self.log.say("output", format!("image {}, {}", order.tag, crate::cell::shown_bytes(image.bytes))).await;
        self.store_image(image, plan).await
    }

    async fn store_image(&self, image: Image, plan: &Plan) -> Result<(Digest, Digest), Stop> {
        let none = Manifest::new(Vec::new()).context("make an empty list of files")?;
        let list = serde_json::to_vec(&none).context("write the list of files")?;
        let files = self.builder.blobs.put(list).await.context("store the list of files")?;
        let program = Program {
            files,
            folder: String::new(),
            web: String::new(),
            release: None,
            others: BTreeMap::new(),
            path: Vec::new(),
            defaults: plan.app_json.defaults.clone(),
            env: plan.env.clone(),
            node: None,
            image: Some(image.id),
            health_path: plan.health_path.clone(),
            protocol: plan.protocol,
            links: plan.links.clone(),
            net: plan.net.clone(),
        };
        let document = serde_json::to_vec(&program).context("write the program")?;
        Ok((self.builder.blobs.put(document).await.context("store the program")?, files))
    }

    /// The Dockerfile's path below the project's root, once it has been read.
    async fn dockerfile(&self, source: &Manifest, plan: &Plan) -> Result<&'static str, Stop> {
        let found: Option<(&'static str, &FileEntry)> =
            NAMES.into_iter().find_map(|name| Some((name, source.get(&joined(&plan.root, name))?)));
        let Some((name, file)) = found.filter(|(_, file)| file.mode != FileMode::Symlink) else {
            return Err(Stop::Failed(failure("detect", "the Dockerfile is no plain file")));
        };
        let read = self.builder.blobs.get(&file.sha256, DOCKERFILE_BYTES_MAX).await.context("read the Dockerfile")?;
        let text = String::from_utf8(read.context("the Dockerfile is gone")?);
        let text = text.map_err(|_| Stop::Failed(failure("detect", "the Dockerfile is not UTF-8 text")))?;
        match dockerfile::refusal(&text) {
            None => Ok(name),
            Some(Refusal { line, message, hint }) => Err(Stop::Failed(Failure {
                hint: Some(hint.to_owned()),
                ..failure("detect", &format!("{name}, line {line}: {message}"))
            })),
        }
    }

    fn build_order(&self, label: &(String, String), dockerfile: &str) -> BuildOrder {
        let (settings, deployment) = (&self.builder.settings, &self.input.deployment);
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        BuildOrder {
            tag: format!("{OWN_IMAGES}{}:{}", deployment.app, deployment.id),
            dockerfile: dockerfile.to_owned(),
            labels: [
                label.clone(),
                own("skylift.app", deployment.app.as_str()),
                own("skylift.deployment", deployment.id.as_str()),
            ]
            .into(),
            memory_bytes: settings.memory_bytes,
            cpu_millicores: settings.millicores(),
        }
    }

    /// Builds, within the time of a step, unless it is cancelled. Returns the image's id.
    async fn built(
        &self,
        engine: &Engine,
        order: &BuildOrder,
        source: &Manifest,
        plan: &Plan,
        made: Made,
    ) -> Result<String, Stop> {
        let (settings, mut cancel) = (&self.builder.settings, self.cancel.clone());
        let (said, told) = duplex(64 << 10);
        let build = async {
            let pieces = context::pieces(&self.builder.blobs, source, &plan.root);
            let building = engine.build(order, pieces, made).await.map_err(refused_or_fault)?;
            followed(building, said).await
        };
        let logged = self.log.follow(STEP, Stream::Stdout, told, settings.output_bytes);
        let both = async {
            tokio::pin!(build, logged);
            tokio::select! {
                built = &mut build => { logged.await; built }
                within = &mut logged => match within {
                    Some(_) => build.await,
                    None => Err(Stop::Failed(failure(STEP, "output limit: the build printed too much"))),
                },
            }
        };
        let limit = settings.step_seconds;
        tokio::select! {
            built = timeout(Duration::from_secs(limit), both) => built.unwrap_or_else(|_| {
                Err(Stop::Failed(failure(STEP, &format!("time limit: the image took longer than {limit} s"))))
            }),
            _ = cancel.wait_for(|cancelled| *cancelled) => Err(Stop::Cancelled),
        }
    }
}

/// Follows a build to its end. Dropping this ends the build.
async fn followed(mut building: Building, mut said: DuplexStream) -> Result<String, Stop> {
    let mut built = None;
    while let Some(progress) = building.next().await.map_err(fault)? {
        match progress {
            Progress::Text(text) if text.starts_with(BROUGHT_STEPS) => {
                let message = "an image that it starts from has ONBUILD steps, which the engine would run unseen";
                return Err(Stop::Failed(failure(STEP, message)));
            }
            Progress::Text(text) => {
                let _ = said.write_all(text.as_bytes()).await;
            }
            Progress::Built { id } => built = Some(id),
            Progress::Failed { message, code } => {
                return Err(Stop::Failed(Failure { exit_code: code, ..failure(STEP, &message) }));
            }
        }
    }
    built.context("the Docker engine ended without an image").map_err(Stop::Fault)
}

/// What the engine refuses of a source is the user's to mend.
fn refused_or_fault(error: EngineError) -> Stop {
    match error {
        EngineError::Refused { status, message } if status.is_client_error() => Stop::Failed(failure(STEP, &message)),
        error => fault(error),
    }
}

fn fault(error: EngineError) -> Stop {
    Stop::Fault(error.into())
}

fn no_engine(plan: &Plan) -> Failure {
    let from = plan.decisions.iter().find(|decision| decision.what == "kind").map(|decision| decision.from.as_str());
    let file = from.unwrap_or("Dockerfile");
    Failure {
        hint: Some(
            "the owner can name a Docker engine in config.toml ([docker] socket = \"/var/run/docker.sock\"); without one, \
             say in skylift.toml how it runs ([run] start), or which folder holds the files of a site ([build] output)"
                .to_owned(),
        ),
        ..failure("detect", &format!("{file} makes this an image, and this server has no Docker engine to build it"))
    }
}
