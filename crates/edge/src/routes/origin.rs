//! Whether the source may say that an app is gone.
//!
//! A database that was emptied, restored blank, or taken for another one answers without an error and knows no app; one whose rows were
//! deleted by hand knows some no more. Only the source that the routes came from is believed that there is one less, and only
//! where it remembers the removal; from anything else, what there is goes on.

use std::collections::BTreeSet;

use skylift_model::AppName;

use super::follow::{Follower, within};

/// How many apps one line of the log names.
const NAMED_MAX: usize = 10;

impl Follower {
    /// Those of these apps that go on although the source does not have them. Each time that is said aloud.
    pub(super) async fn not_removed(&mut self, gone: Vec<AppName>) -> BTreeSet<AppName> {
        if gone.is_empty() {
            return BTreeSet::new();
        }
        let all: BTreeSet<AppName> = gone.iter().cloned().collect();
        if !self.may_forget().await {
            return all;
        }
        match within(self.source.lost(gone)).await {
            Ok(lost) => {
                let lost: BTreeSet<AppName> = lost.into_iter().filter(|app| all.contains(app)).collect();
                say_lost(&lost);
                lost
            }
            Err(error) => {
                tracing::error!(
                    error = &*error,
                    "the source of routes does not say what was removed; no app is taken out"
                );
                all
            }
        }
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

fn say_lost(lost: &BTreeSet<AppName>) {
    if lost.is_empty() {
        return;
    }
    let named: Vec<&str> = lost.iter().take(NAMED_MAX).map(AppName::as_str).collect();
    tracing::error!(
        count = lost.len(),
        apps = named.join(" "),
        "apps are missing from the source of routes, which nobody removed: were rows deleted by hand? They are still served; bring \
         the rows back, or make apps of these names and remove those"
    );
}
