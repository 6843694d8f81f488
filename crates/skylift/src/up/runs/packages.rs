//! Sets of packages: built as builds are, seen by runs.

use std::sync::Arc;

use skylift_build::packages::PackageSets;
use skylift_run::{Finding, PackageSet, Packages};

/// The sets of this node, for its runs.
pub(super) struct Shown(pub(super) Arc<PackageSets>);

impl Packages for Shown {
    fn find<'f>(&'f self, language: &'f str, name: &'f str) -> Finding<'f> {
        Box::pin(async move {
            let built = self.0.find(language, name).await?;
            let (folder, preload) = (built.folder.clone(), built.preload.clone());
            Ok(Arc::new(PackageSet { name: name.to_owned(), folder, preload }))
        })
    }
}
