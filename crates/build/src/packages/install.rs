//! Installs the packages of a set: in a sandbox like those of builds, which reaches what builds reach and runs one program, by its arguments.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use skylift_model::wire::Package;
use skylift_sandbox::{Exit, Mount, Output, Source, Spec};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::resolved::{self, ACCOUNT_BYTES_MAX};
use super::said::telling;
use super::settings::{PackageLanguage, PackageSettings};
use super::shelf::{FILES, Platform};
use crate::cell::{Bounds, Cell, CellError, DiskLimit, Ended, shown_bytes};
use crate::client::{Client, ask};
use crate::settings::BuildSettings;

/// Where the package manager works, inside.
const WORK: &str = "/packages";
/// Where it may put what is of no use afterwards, below that.
const TEMPORARY: &str = "tmp";
/// The user that installs; no app and no run has it.
const UID: u32 = 199_998;
/// What is kept of what it has printed, for the log: the end. One line of pip's may name some thousand versions.
const TAIL_BYTES: usize = 64 << 10;

/// Why a set was not built.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstallError {
    /// It cannot be, as things are.
    #[error("{why}")]
    Failed {
        /// In short, for whoever asks for the set.
        why: String,
        /// What was printed, for the owner's log.
        said: String,
    },
    #[error("the platform is shutting down")]
    Interrupted,
    #[error(transparent)]
    Cell(#[from] CellError),
    #[error("keep a set of packages")]
    Keep(#[from] io::Error),
}

impl InstallError {
    /// What happened, with the lines that tell most of what was printed.
    pub(super) fn failed(what: &str, said: &str) -> Self {
        let why = format!("{what}\n{}", telling(said)).trim_end().to_owned();
        Self::Failed { why, said: said.to_owned() }
    }

    /// All that was printed, as far as it was kept.
    pub(super) fn said(&self) -> Option<&str> {
        match self {
            Self::Failed { said, .. } => Some(said),
            _ => None,
        }
    }
}

/// The language as this machine has it. Starts its interpreter. `None` where it is not here.
pub(super) fn platform(language: PackageLanguage) -> Option<Platform> {
    let answer = match language {
        PackageLanguage::Python => {
            let script = "import platform, sysconfig; print(platform.python_version(), sysconfig.get_platform())";
            ask(PYTHON, &["-I", "-c", script])
        }
        PackageLanguage::Node => ask(NODE, &["-p", "`${process.versions.node} ${process.platform}-${process.arch}`"]),
    };
    let (version, platform) = answer.as_deref()?.split_once(' ')?;
    Some(Platform { version: version.to_owned(), platform: platform.to_owned() })
}

/// The interpreters that runs are run by.
const PYTHON: &str = "/usr/bin/python3";
const NODE: &str = "/usr/bin/node";

/// What holds for all that are installed.
pub(super) struct Installing<'a> {
    pub(super) settings: &'a BuildSettings,
    pub(super) client: &'a Client,
    /// What the disk must have left, in bytes.
    pub(super) reserve_bytes: u64,
}

impl Installing<'_> {
    /// Installs into the empty folder `files` of `work`, and says what.
    pub(super) async fn install(
        &self,
        set: &PackageSettings,
        work: &Path,
        cancel: watch::Receiver<bool>,
    ) -> Result<Vec<Package>, InstallError> {
        hand_over(work)?;
        let mut cell = Cell::start(self.spec(set, work), self.bounds(work), "packages", None).await?;
        let (printed, most) = (cell.take_stdout()?, self.settings.output_bytes);
        let mut tail = Tail::default();
        let ended = cell.finish(tail.follow(printed, most), cancel).await?;
        if !matches!(&ended, Ended::Exited(outcome) if outcome.exit == Exit::Code(0)) {
            return Err(why(ended, &tail.text(), self.settings));
        }
        let account = read(work.to_owned(), resolved::account(set.language)).await?;
        let unclear = || InstallError::failed("what was installed is not told", &tail.text());
        resolved::parse(set.language, &account).ok_or_else(unclear)
    }

    fn bounds(&self, work: &Path) -> Bounds {
        let settings = self.settings;
        Bounds {
            time: settings.step_limit(),
            output_bytes: settings.output_bytes,
            disk: Some(DiskLimit {
                folders: vec![work.to_owned()],
                bytes: settings.disk_bytes,
                inodes: settings.disk_inodes,
                reserve_bytes: self.reserve_bytes,
            }),
            egress: Some(settings.policy()),
        }
    }

    fn spec(&self, set: &PackageSettings, work: &Path) -> Spec {
        let settings = self.settings;
        let mut spec = Spec::new(words(set));
        (spec.stdout, spec.stderr) = (Output::Pipe, Output::WithStdout);
        (spec.uid, spec.gid) = (UID, UID);
        (spec.home, spec.cwd) = (WORK.into(), WORK.into());
        spec.limits.memory_bytes = settings.memory_bytes;
        spec.limits.cpu_millicores = settings.millicores();
        spec.limits.cpu_weight = settings.cpu_weight;
        spec.limits.pids = settings.pids;
        spec.limits.file_bytes = settings.disk_bytes;
        spec.env = self.env();
        spec.mounts = self.client.mounts();
        spec.mounts.push(Mount::Writable { from: Source::Path(work.to_owned()), to: WORK.into() });
        spec
    }

    fn env(&self) -> BTreeMap<String, String> {
        let mut env = self.client.env.clone();
        let own = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME", WORK.to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            // What is unpacked may be large, and memory is not.
            ("TMPDIR", format!("{WORK}/{TEMPORARY}")),
            ("npm_config_cache", format!("{WORK}/{TEMPORARY}/npm")),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        env
    }
}

const PIP: &[&str] = &[
    PYTHON,
    "-I",
    "-m",
    "pip",
    "install",
    "--no-input",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--no-color",
    "--progress-bar=off",
    "--root-user-action=ignore",
];
const NPM: &[&str] = &["npm", "install", "--no-save", "--no-audit", "--no-fund", "--no-color", "--loglevel=error"];

/// The package manager and its arguments. What packages bring for being built is not run unless that is said.
fn words(set: &PackageSettings) -> Vec<String> {
    let files = format!("{WORK}/{FILES}");
    let (manager, careful, into) = match set.language {
        PackageLanguage::Python => {
            let account = resolved::account(set.language);
            (PIP, "--only-binary=:all:", vec![format!("--target={files}"), format!("--report={WORK}/{account}")])
        }
        PackageLanguage::Node => (NPM, "--ignore-scripts", vec![format!("--prefix={files}")]),
    };
    let careful = Some(careful).filter(|_| !set.from_source);
    let mut words: Vec<String> = manager.iter().copied().chain(careful).map(str::to_owned).collect();
    words.extend(into);
    words.push("--".to_owned());
    words.extend(set.packages.iter().cloned());
    words
}

/// Gives the folders in which it works to its user.
fn hand_over(work: &Path) -> io::Result<()> {
    let temporary = work.join(TEMPORARY);
    skylift_durable::create_folders(&temporary)?;
    for folder in [work.to_owned(), work.join(FILES), temporary] {
        // Whatever is usual for files of ours, runs are to read these.
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755))?;
        if rustix::process::geteuid().is_root() {
            chown(&folder, Some(UID), Some(UID))?;
        }
    }
    Ok(())
}

/// The account that the package manager has left, and none of what else it may have put there: through no link.
async fn read(work: PathBuf, name: &'static str) -> Result<Vec<u8>, InstallError> {
    let reading = tokio::task::spawn_blocking(move || {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let folder = rustix::fs::openat(CWD, &work, flags | OFlags::DIRECTORY, Mode::empty())?;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = rustix::fs::openat2(&folder, name, flags | OFlags::NONBLOCK, Mode::empty(), beneath)?;
        let mut bytes = Vec::new();
        File::from(file).take(ACCOUNT_BYTES_MAX).read_to_end(&mut bytes)?;
        skylift_sandbox::remove_tree(&work.join(TEMPORARY))?;
        Ok::<_, io::Error>(bytes)
    });
    Ok(reading.await.map_err(|_| InstallError::Interrupted)??)
}

fn why(ended: Ended, said: &str, settings: &BuildSettings) -> InstallError {
    let what = match ended {
        Ended::Cancelled => return InstallError::Interrupted,
        Ended::Exited(outcome) if outcome.out_of_memory => {
            format!("it needed more than {} of memory", shown_bytes(settings.memory_bytes))
        }
        Ended::Exited(outcome) => match outcome.exit {
            Exit::Code(code) => format!("the package manager ended with code {code}"),
            Exit::Signal(signal) => format!("the package manager was ended by signal {signal}"),
        },
        Ended::TimedOut => format!("it took longer than {} s", settings.step_seconds),
        Ended::TooMuchOutput => format!("it printed more than {}", shown_bytes(settings.output_bytes)),
        Ended::DiskLimit(why) => why,
        Ended::DiskFull => "the disk is full".to_owned(),
    };
    InstallError::failed(&what, said)
}

/// The end of what was printed.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Takes everything that comes; whether that was within `most` bytes.
    async fn follow(&mut self, mut printed: pipe::Receiver, most: u64) -> bool {
        let (mut piece, mut left) = ([0; 4096], most);
        loop {
            let Ok(count @ 1..) = printed.read(&mut piece).await else { return true };
            self.0.extend_from_slice(piece.get(..count).unwrap_or_default());
            let surplus = self.0.len().saturating_sub(TAIL_BYTES);
            self.0.drain(..surplus);
            match left.checked_sub(count as u64) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
    }

    /// As text, without what would move a terminal's cursor.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        text.chars().filter(|c| *c == '\n' || !c.is_control()).collect::<String>().trim().to_owned()
    }
}
