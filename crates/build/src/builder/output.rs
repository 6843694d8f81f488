//! The files of a site: read out of the sandbox that its build ended in.

use skylift_model::Manifest;
use skylift_model::plan::Plan;
use skylift_model::program::ROOT;
use skylift_model::wire::Failure;

use super::commands::Site;
use super::outcome::{Stop, failure};
use super::{Build, joined};
use crate::blob_sink::BlobSink;
use crate::cell::{Cell, own_command};
use crate::checkout::Workplace;
use crate::detect;
use crate::frames::{LinkRule, Received, receive_with};

impl Build<'_> {
    /// Builds a site and returns the files of the result, by their paths within it.
    pub(super) async fn build_site(&self, manifest: &Manifest, plan: &Plan) -> Result<Manifest, Stop> {
        let (place, tools) = self.prepare(manifest, plan).await?;
        let on = self.steps(manifest, plan, &place, &tools).await?;
        let output = self.collect(&on).await?;
        drop(on);
        discard(place);
        Ok(output)
    }

    /// Reads the files of a site out of the sandbox.
    async fn collect(&self, on: &Site<'_>) -> Result<Manifest, Stop> {
        let candidates = detect::output_candidates(on.plan);
        let last = candidates.len().saturating_sub(1);
        for (at, candidate) in candidates.iter().enumerate() {
            match self.read_output(candidate, on).await {
                Err(Stop::Failed(_)) if at < last => {}
                Ok(output) if output.files().is_empty() && at < last => {}
                Ok(output) if output.files().is_empty() => {
                    return Err(super::outcome::site_stop(crate::site::SiteError::Empty(candidate.clone())));
                }
                Err(Stop::Failed(_)) if last > 0 => {
                    let message = format!("the build left nothing in any of {}", candidates.join(", "));
                    let hint = Some("name the folder in skylift.toml: [build] output = \"…\"".to_owned());
                    return Err(Stop::Failed(Failure { hint, ..failure("output", &message) }));
                }
                other => return other,
            }
        }
        Err(Stop::Failed(failure("output", "the plan names no output folder")))
    }

    async fn read_output(&self, folder: &str, on: &Site<'_>) -> Result<Manifest, Stop> {
        let inside = format!("{ROOT}/{}", joined(&on.plan.root, folder));
        self.read_folder("sandbox-walk", &inside, LinkRule::Inside, on).await.map(|received| received.manifest)
    }

    /// Reads a folder by one of our own commands, in a sandbox of its own.
    pub(super) async fn read_folder(
        &self,
        command: &str,
        folder: &str,
        links: LinkRule,
        on: &Site<'_>,
    ) -> Result<Received, Stop> {
        let limits = self.builder.settings.result;
        let mut spec = own_command(&[command, &serde_json::to_string(&limits).unwrap_or_default(), folder]);
        self.furnish(&mut spec, on);
        spec.stderr = skylift_sandbox::Output::Null;
        spec.cwd = ROOT.into();
        let bounds = crate::cell::Bounds { egress: None, output_bytes: u64::MAX, ..self.bounds(on.place) };
        let mut cell = Cell::start(spec, bounds, "output", None).await?;
        let stdout = cell.take_stdout()?;
        let mut sink = BlobSink::new(self.builder.blobs.clone());
        let mut received = None;
        let reading = async {
            let frames = receive_with(stdout, &limits, links, &mut sink).await;
            let kept = frames.is_ok();
            received = Some(frames);
            kept
        };
        let ended = cell.finish(reading, self.cancel.clone()).await?;
        self.received("output", "reading the output folder", received, sink, ended).await
    }
}

/// Removes the folders of a build, for which nobody needs to wait: they may hold thousands of files.
pub(super) fn discard(place: Workplace) {
    tokio::task::spawn_blocking(move || drop(place));
}
