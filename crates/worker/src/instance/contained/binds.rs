//! The volumes of an app in a container.

use anyhow::{Context, bail};
use skylift_docker::{Bind, Engine, Order};

use crate::instance::Instance;
use crate::instance::data::Taken;
use crate::instance::watch_disk;

impl Instance {
    /// Gives it the volumes of its app, as the user that they belong to. Returns how much each may hold.
    pub(super) async fn bind(
        &self,
        engine: &Engine,
        taken: &mut Taken,
        order: &mut Order,
    ) -> anyhow::Result<watch_disk::Volumes> {
        if taken.is_empty() {
            return Ok(watch_disk::Volumes::default());
        }
        let about = engine.about().await.context("ask the Docker engine how it is set up")?;
        if about.maps_users() {
            bail!(
                "it has a volume, and this Docker engine gives containers other user ids than they see (userns-remap or rootless): name one \
                 that does not in [docker] socket"
            );
        }
        let volumes = self.measured(taken).await?;
        if self.is_overfull(&volumes)? {
            order.file_bytes_max = Some(0);
        }
        order.binds = taken.binds()?;
        order.labels.extend(taken.labels());
        taken.note_contained(&about.id)?;
        // What the image wants in memory there or below would hide what is kept.
        let hides =
            |path: &str, bind: &Bind| format!("{}/", path.trim_end_matches('/')).starts_with(&format!("{}/", bind.to));
        order.tmpfs.retain(|path, _| !order.binds.iter().any(|bind| hides(path, bind)));
        order.user = Some(format!("{uid}:{uid}", uid = self.user(taken)));
        Ok(volumes)
    }
}

/// Refuses an image that has a link where a volume is to be seen: the volume would lie over something else.
pub(super) fn are_where_they_belong(pid: u32, binds: &[Bind]) -> anyhow::Result<()> {
    // One that has ended by now has done what it could.
    let Ok(mounts) = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")) else { return Ok(()) };
    let is_there = |bind: &Bind| mounts.lines().any(|mount| mount.split(' ').nth(4) == Some(bind.to.as_str()));
    match binds.iter().find(|bind| !is_there(bind)) {
        Some(bind) => bail!("its image has a link at {}, where its volume is to be: make a folder of it", bind.to),
        None => Ok(()),
    }
}
