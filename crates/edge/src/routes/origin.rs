//! Whether the source may say that an app is gone.
//!
//! A database that was emptied, restored blank, or taken for another one answers without an error and knows no app. Only the
//! source that the routes came from is believed that there is one less; from any other, what there is goes on.

use super::follow::{Follower, within};
use super::told::Said;

impl Follower {
    /// Whether an app that is routed is said to be gone.
    pub(super) fn forgets(&self, said: &[Said]) -> bool {
        said.iter().any(|(app, routes)| routes.is_none() && self.applied.generation(app).is_some())
    }

    /// Whether the source is the one that the routes came from. Where that is not known, it is from here on.
    pub(super) async fn may_forget(&mut self) -> bool {
        let told = match within(self.source.origin()).await {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(
                    error = &*error,
                    "the source of routes does not say which one it is; no app is taken out"
                );
                return false;
            }
        };
        let known = self.origin.get_or_insert_with(|| told.clone());
        if *known == told {
            return true;
        }
        tracing::error!(
            known = known.as_str(),
            told = told.as_str(),
            file = %self.last_good.0.display(),
            "the source of routes is not the one that they came from: was the database emptied, or is it another one? Apps that \
             it does not know are still served; to have them gone, stop, remove the file, and start again"
        );
        false
    }
}
