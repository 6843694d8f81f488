//! Git: the history of each app, as objects in the blobs, and as a repository where there is a data folder.

use anyhow::Context;
use skylift_control::packs;

use super::side::Side;

/// Moves every history; returns how many there are. The rows are moved already.
pub(super) async fn copy_all(from: &Side, to: &Side) -> anyhow::Result<u64> {
    let mut count = 0;
    for app in to.store.apps().await? {
        let name = format!("git/{}.git", app.name);
        let Some((tip, _)) = to.store.last_git_commit(app.name.clone()).await? else { continue };
        let repository = from.folder.as_ref().map(|folder| folder.path().join(&name));
        if let Some(repository) = repository.filter(|repository| repository.join("HEAD").exists()) {
            // Whatever packs there are may lack what was committed in this folder.
            let packed = tokio::task::spawn_blocking(move || packs::pack(&repository, None));
            let packed = packed.await.context("the process is stopping")?;
            let pack = packs::store(packed.with_context(|| format!("pack {name}"))?, &to.blobs).await?;
            to.store.replace_git_packs(app.name.clone(), pack).await?;
        }
        let packs = to.store.git_packs(app.name.clone()).await?;
        count += u64::from(!packs.is_empty());
        let repository = to.folder.as_ref().map(|folder| folder.path().join(&name));
        if let Some(repository) = repository.filter(|_| !packs.is_empty()) {
            let blobs = to.blobs.clone();
            let unpacked = tokio::task::spawn_blocking(move || packs::unpack(&repository, &packs, Some(&tip), &blobs));
            unpacked.await.context("the process is stopping")?.with_context(|| format!("unpack {name}"))?;
        }
    }
    Ok(count)
}
