//! The artifact of a project that runs: all of its files after the build, and what is run of them.

use anyhow::Context;
use skylift_model::plan::Plan;
use skylift_model::program::ROOT;
use skylift_model::{Digest, Manifest, Program};

use super::Build;
use super::commands::own_folders;
use super::outcome::{Stop, failure};
use super::output::discard;
use crate::frames::LinkRule;
use crate::toolchain::Tools;

impl Build<'_> {
    /// Builds a program and stores it. Returns the digest of the document, which is the artifact, and of its files.
    pub(super) async fn build_program(&self, source: &Manifest, plan: &Plan) -> Result<(Digest, Digest), Stop> {
        let (place, tools) = self.prepare(source, plan).await?;
        let on = self.steps(source, plan, &place, &tools).await?;
        let received = self.read_folder("sandbox-walk-program", ROOT, LinkRule::Any, &on).await?;
        drop(on);
        discard(place);
        let manifest = received.manifest;
        let size = crate::cell::shown_bytes(manifest.bytes());
        let files = match manifest.files().len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        self.log.say("output", format!("{files}, {size}")).await;
        if received.skipped > 0 {
            self.log.say("output", format!("left out: {} (.git, caches of build tools)", received.skipped)).await;
        }
        let list = serde_json::to_vec(&manifest).context("write the list of files")?;
        let files = self.builder.blobs.put(list).await.context("store the list of files")?;
        let document = serde_json::to_vec(&program(plan, &tools, files)?).context("write the program")?;
        let artifact = self.builder.blobs.put(document).await.context("store the program")?;
        Ok((artifact, files))
    }
}

fn program(plan: &Plan, tools: &Tools, files: Digest) -> Result<Program, Stop> {
    let web = plan.start.clone().ok_or_else(|| Stop::Failed(failure("detect", "the plan does not say what starts")))?;
    Ok(Program {
        files,
        folder: plan.root.clone(),
        web,
        release: plan.release.clone(),
        others: plan.others.clone(),
        path: own_folders(plan),
        defaults: plan.app_json.defaults.clone(),
        env: plan.env.clone(),
        node: tools.node.clone(),
        image: None,
        health_path: plan.health_path.clone(),
        protocol: plan.protocol,
        links: plan.links.clone(),
        net: plan.net.clone(),
    })
}
