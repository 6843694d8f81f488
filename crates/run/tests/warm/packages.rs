//! Runs see the packages that they ask for, loaded already where those bear it, and no other run sees any.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use skylift_model::run::{Job, Warmth};
use skylift_run::{PackageSet, RunError};
use tempfile::TempDir;

use crate::host::{Host, job, said};

const WARM: [Warmth; 2] = [Warmth::Pool, Warmth::Fork];

/// A module that says who has loaded it.
const EARLY: &str = "import os\nLOADED_BY = os.getpid()\n";
/// One that what is forked would wait for.
const THREADS: &str = "import os, threading\nLOADED_BY = os.getpid()\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n";

fn set(files: &[(&str, &str)], preload: &[&str]) -> (TempDir, PackageSet) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        // So that nothing but the mount keeps anybody from writing.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    }
    let preload = preload.iter().map(|&name| name.to_owned()).collect();
    let set = PackageSet { name: "own".to_owned(), folder: folder.path().to_owned(), preload };
    (folder, set)
}

fn with(job: Job) -> Job {
    Job { packages: Some("own".to_owned()), ..job }
}

const LOOK: &str = "
import os, sys
try:
    import early
    print('loaded', 'by itself' if early.LOADED_BY == os.getpid() else 'before', early.__file__)
except ImportError as error: print(error)
try: open('/opt/packages/early.py', 'a')
except OSError as error: print(error.strerror)
print(os.environ.get('PYTHONPATH'), '/opt/packages' in sys.path)
";
const SEES: &str = "/opt/packages/early.py\nRead-only file system\n/opt/packages True\n";
const SEES_NOTHING: &str = "No module named 'early'\nNo such file or directory\nNone False\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sees_the_packages_that_it_asks_for_loaded_already_and_no_other_run_sees_them() {
    let (_folder, own) = set(&[("early.py", EARLY)], &["early"]);
    let host = Host::new(vec![own]);
    let look = job("python", "main.py", LOOK);
    let asking = with(look.clone());
    let first = host.run(&asking).await;
    assert_eq!((first.start, said(&first)), (Warmth::Cold, format!("loaded by itself {SEES}")));
    let warm = host.run_from(&asking, &WARM).await;
    assert_eq!(said(&warm), format!("loaded before {SEES}"));
    // While those wait that see it, others are run that do not.
    for ending in [host.run(&look).await, host.run_from(&look, &WARM).await] {
        assert_eq!(said(&ending), SEES_NOTHING);
    }
    let mut heeded = asking.clone();
    heeded.env = vec![("OMP_NUM_THREADS".parse().unwrap(), "2".to_owned())];
    assert_eq!(host.run(&heeded).await.start, Warmth::Cold, "what was loaded has read another");
    let unknown = Job { packages: Some("other".to_owned()), ..look };
    let refused = host.try_run(&unknown).await;
    assert!(matches!(&refused, Err(RunError::NoPackages(why)) if why == "no set other"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_bear_it_is_not_loaded_before_and_is_still_there() {
    let look = with(job("python", "main.py", LOOK));
    for (text, preload) in [(THREADS, &["early"][..]), (EARLY, &["early", "absent"])] {
        let (_folder, own) = set(&[("early.py", text)], preload);
        let host = Host::new(vec![own]);
        let ending = host.run_from(&look, &WARM).await;
        assert_eq!(said(&ending), format!("loaded by itself {SEES}"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_finds_them_by_require_and_by_import() {
    if !Path::new("/usr/bin/node").exists() {
        return;
    }
    let (_folder, own) = set(&[("early/index.js", "exports.VALUE = 42\n")], &[]);
    let host = Host::new(vec![own]);
    for (file, source) in [
        ("main.js", "console.log(require('early').VALUE, require.resolve('early'))"),
        ("main.mjs", "import early from 'early'; console.log(early.VALUE, import.meta.resolve('early').slice(7))"),
    ] {
        let plain = job("node", file, source);
        for starts in [[Warmth::Cold, Warmth::Prestarted], [Warmth::Prestarted; 2]] {
            let ending = host.run_from(&with(plain.clone()), &starts).await;
            assert_eq!(said(&ending), "42 /node_modules/early/index.js\n");
        }
        let without = host.run(&plain).await;
        assert!(said(&without).contains("Cannot find"), "{}", said(&without));
    }
}
