//! What versions of apps answered lately, as edges tell it each second: what a version that went live a moment ago is compared by.
//!
//! In memory alone: a process that has just begun has heard nothing, and concludes nothing.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use skylift_bus::Answers;
use skylift_model::{AppName, DeploymentId, Timestamp};

/// What is older than two of these counts no more.
const WINDOW: Duration = Duration::from_secs(120);
/// Nobody is compared with what was last heard of so long ago.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// What was heard, by deployment.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    of: HashMap<DeploymentId, Lately>,
    /// Apps that are looked at whenever something is heard.
    watched: BTreeSet<AppName>,
}

/// Counts of the window that goes on and of the one before.
#[derive(Debug)]
struct Lately {
    since: Timestamp,
    last: Timestamp,
    now: Answers,
    before: Answers,
}

impl Heard {
    /// An edge said what was answered in the last second.
    pub(crate) fn hear(&mut self, seen: &[(DeploymentId, Answers)], at: Timestamp) {
        self.of.retain(|_, lately| at.since(lately.last) < FORGOTTEN_AFTER);
        for (deployment, answers) in seen {
            let new = || Lately { since: at, last: at, now: Answers::default(), before: Answers::default() };
            self.of.entry(deployment.clone()).or_insert_with(new).add(answers, at);
        }
    }

    /// What a deployment answered lately, up to when it was last asked.
    pub(crate) fn of(&self, deployment: &DeploymentId) -> Answers {
        let Some(lately) = self.of.get(deployment) else { return Answers::default() };
        let mut sum = lately.now.clone();
        sum.add(&lately.before);
        sum
    }

    /// Whether an app is to be looked at whenever something is heard.
    pub(crate) fn watch(&mut self, app: &AppName, is_watched: bool) {
        if is_watched {
            self.watched.insert(app.clone());
        } else {
            self.watched.remove(app);
        }
    }

    pub(crate) fn watched(&self) -> impl Iterator<Item = &AppName> {
        self.watched.iter()
    }
}

impl Lately {
    fn add(&mut self, answers: &Answers, at: Timestamp) {
        if at.since(self.since) >= WINDOW {
            self.before = std::mem::take(&mut self.now);
            self.since = at;
        }
        self.now.add(answers);
        self.last = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_memory::{at, deployment};

    fn heard(heard: &mut Heard, number: i64, answered: u64, seconds: i64) {
        let answers = Answers { answered, ..Answers::default() };
        heard.hear(&[(deployment(number), answers)], at(seconds));
    }

    #[test]
    fn what_counts_is_of_the_last_two_windows_in_which_it_was_asked() {
        let mut all = Heard::default();
        let count = |all: &Heard, number| all.of(&deployment(number)).answered;
        heard(&mut all, 1, 10, 0);
        heard(&mut all, 1, 10, 119);
        heard(&mut all, 2, 7, 119);
        assert_eq!((count(&all, 1), count(&all, 2), count(&all, 3)), (20, 7, 0));
        heard(&mut all, 1, 5, 120);
        assert_eq!(count(&all, 1), 25);
        heard(&mut all, 1, 5, 240);
        assert_eq!(count(&all, 1), 10, "the first window is over for two");
        assert_eq!(count(&all, 2), 7, "it was replaced, and is compared with");
        heard(&mut all, 1, 5, 720);
        assert_eq!(count(&all, 2), 0, "nobody remembers it");
    }
}
