//! Sets of packages that runs may see: where they lie, where they are seen, and what goes with them.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use skylift_model::EnvName;
use skylift_sandbox::{Mount, Source, ZygoteSpec};

use crate::language::Warm;

/// Where the packages of Python are seen, inside.
const PYTHON_AT: &str = "/opt/packages";
/// Where those of Node are: it looks there from every folder, whoever asks, by `require` or `import`.
const NODE_AT: &str = "/node_modules";

/// Libraries that would start as many threads as the machine has processors: a run has one, and what is forked none of them.
const THREADS: [&str; 4] = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"];
/// How variables begin that the packages heed as they are loaded.
const HEEDS: [&str; 6] = ["OPENBLAS_", "OMP_", "MKL_", "NUMEXPR_", "GOTO_", "NPY_"];

/// A set, as it lies on this machine. Nothing in it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSet {
    /// Its name.
    pub name: String,
    /// What runs see of it.
    pub folder: PathBuf,
    /// Modules that are loaded before a run begins, where that is of use.
    pub preload: Vec<String>,
}

/// A set that is found, or why there is none.
pub type Finding<'f> = Pin<Box<dyn Future<Output = Result<Arc<PackageSet>, String>> + Send + 'f>>;

/// Has sets of packages.
pub trait Packages: Send + Sync {
    /// One of a language; waits where it is being made.
    fn find<'f>(&'f self, language: &'f str, name: &'f str) -> Finding<'f>;
}

/// A set in the places of one interpreter.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) set: Arc<PackageSet>,
    pub(crate) warm: Warm,
}

impl Seen {
    /// What those that wait with it are called.
    pub(crate) fn label(&self) -> String {
        format!("{}+{}", self.warm.language(), self.set.name)
    }

    pub(crate) fn mount(&self) -> Mount {
        let to = match self.warm {
            Warm::Python => PYTHON_AT,
            Warm::Node => NODE_AT,
        };
        Mount::ReadOnly { from: Source::Path(self.set.folder.clone()), to: to.into() }
    }

    /// Variables of a run that sees it, where `sent` does not say otherwise.
    pub(crate) fn env(&self, sent: &[(EnvName, String)]) -> Vec<(String, String)> {
        if self.warm == Warm::Node {
            return Vec::new();
        }
        let said = |name: &str| sent.iter().find(|(sent, _)| sent.as_str() == name).map(|(_, value)| value.as_str());
        let path = match said("PYTHONPATH") {
            Some(own) if !own.is_empty() => format!("{own}:{PYTHON_AT}"),
            _ => PYTHON_AT.to_owned(),
        };
        let threads = THREADS.iter().filter(|name| said(name).is_none());
        let threads = threads.map(|&name| (name.to_owned(), "1".to_owned()));
        threads.chain([("PYTHONPATH".to_owned(), path)]).collect()
    }

    /// Whether a variable is one that what is loaded already would not see.
    pub(crate) fn heeds(&self, name: &EnvName) -> bool {
        self.warm == Warm::Python && HEEDS.iter().any(|begin| name.as_str().starts_with(begin))
    }

    /// Has a zygote see it, and load what is to be loaded.
    pub(crate) fn load(&self, zygote: &mut ZygoteSpec, preload: bool) {
        zygote.env.extend(self.env(&[]));
        if preload {
            zygote.preload.extend(self.set.preload.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(warm: Warm) -> Seen {
        let set = PackageSet { name: "data".into(), folder: "/sets/1".into(), preload: vec!["numpy".into()] };
        Seen { set: Arc::new(set), warm }
    }

    #[test]
    fn what_a_run_says_itself_comes_first_and_the_set_is_still_there() {
        let sent = |name: &str, value: &str| vec![(name.parse().unwrap(), value.to_owned())];
        let of = |sent: &[(EnvName, String)], name: &str| {
            seen(Warm::Python).env(sent).into_iter().find(|(one, _)| one == name).map(|(_, value)| value)
        };
        assert_eq!(of(&[], "PYTHONPATH").as_deref(), Some("/opt/packages"));
        assert_eq!(of(&sent("PYTHONPATH", "/box/own"), "PYTHONPATH").as_deref(), Some("/box/own:/opt/packages"));
        assert_eq!(of(&[], "OMP_NUM_THREADS").as_deref(), Some("1"));
        assert_eq!(of(&sent("OMP_NUM_THREADS", "4"), "OMP_NUM_THREADS"), None);
        assert!(seen(Warm::Node).env(&[]).is_empty());
        assert!(seen(Warm::Python).heeds(&"OMP_NUM_THREADS".parse().unwrap()));
        assert!(!seen(Warm::Python).heeds(&"NAME".parse().unwrap()));
    }
}
