//! Which deployments lack files: told in the log, for people. Nothing is repaired here; deploying the same files again does that.

use std::collections::HashSet;

use skylift_model::Digest;
use skylift_model::site::Site;

use crate::cleanup::Cleanup;

/// Tells which of the deployments with these artifacts lack some of the lost blobs.
pub(crate) async fn tell(cleanup: &Cleanup, lost: &HashSet<Digest>, artifacts: &[Digest]) -> anyhow::Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let mut told = 0;
    for artifact in artifacts {
        let site: Site = cleanup.document(artifact).await?;
        let files = files_lost(&site, lost);
        if files == 0 {
            continue;
        }
        for (app, deployment) in cleanup.store.deployments_of_artifact(*artifact).await? {
            told += 1;
            tracing::error!(
                app.name = %app, deployment.id = %deployment, files,
                "files of a deployment are damaged or missing; deploying the same folder again repairs it"
            );
        }
    }
    if told == 0 {
        tracing::error!(blobs = lost.len(), "stored files are damaged or missing that no deployment serves");
    }
    Ok(())
}

/// How many files of a site cannot be served in every form.
fn files_lost(site: &Site, lost: &HashSet<Digest>) -> usize {
    let lacks = |digest: &Digest| lost.contains(digest);
    let assets = site.files.values();
    assets.filter(|asset| lacks(&asset.sha256) || asset.variants.iter().any(|form| lacks(&form.sha256))).count()
}
