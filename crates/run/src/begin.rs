//! The beginning of a step: a place for it, its files in it, and its program started.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use skylift_model::run::{File, Warmth};
use skylift_sandbox::{Order, Sandbox, SpawnError};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::folder;
use crate::language::BUILT;
use crate::place::{Place, Told, User, Waiting};
use crate::places::{Places, Wanted};
use crate::programs::Built;
use crate::runner::RunError;
use crate::watch;

/// So many bytes in so few files are in place, and so short an order is given, sooner than another thread would be awake.
const QUICK_BYTES: usize = 256 << 10;
const QUICK_FILES: usize = 8;

/// What is to be started.
pub(crate) struct Begin {
    pub(crate) wanted: Wanted,
    pub(crate) files: Vec<File>,
    /// What was compiled, executable.
    pub(crate) built: Option<Arc<Built>>,
    /// Whether it is compiled, or compiles: then there is a folder for what comes of that.
    pub(crate) is_compiled: bool,
    pub(crate) order: Order,
}

/// What was started, or why its program cannot be.
pub(crate) struct Begun {
    pub(crate) running: Result<(Sandbox, OwnedFd), SpawnError>,
    pub(crate) program: String,
    pub(crate) user: User,
    pub(crate) start: Warmth,
    /// When it was told to start.
    pub(crate) at: Instant,
}

/// What was told to start.
struct Beginning {
    told: Result<Told, SpawnError>,
    program: String,
    user: User,
    start: Warmth,
    at: Instant,
}

impl Begin {
    /// In a place that is as warm as there is one.
    pub(crate) async fn start(self, places: &Arc<Places>) -> Result<Begun, RunError> {
        let at_hand = if self.is_quick() { places.at_hand(&self.wanted) } else { None };
        let Beginning { told, program, user, start, at } = match at_hand {
            Some(place) => self.tell(place)?,
            None => {
                let places = places.clone();
                let beginning = spawn_blocking(move || {
                    let place = places.take(&self.wanted)?;
                    self.tell(place)
                });
                beginning.await.map_err(|_| RunError::Interrupted)??
            }
        };
        let running = match told {
            Ok(Told::Ordered(ordered)) => {
                watch::told(ordered.tells().try_clone_to_owned()?)?.readable().await?.retain_ready();
                ordered.started()
            }
            Ok(Told::Running(running)) => Ok(running),
            Err(error) => Err(error),
        };
        Ok(Begun { running, program, user, start, at })
    }

    fn is_quick(&self) -> bool {
        let of_files = self.files.iter().map(|file| file.bytes.len());
        let of_order = self.order.argv.iter().map(String::len);
        let of_env = self.order.env.iter().map(|(name, value)| name.len() + value.len());
        let built = self.built.as_ref().map_or(&[][..], |built| &built.files);
        let of_built = built.iter().map(|file| file.bytes.len());
        self.files.len() + built.len() <= QUICK_FILES
            && of_files.chain(of_built).chain(of_order).chain(of_env).sum::<usize>() <= QUICK_BYTES
    }

    /// Puts its files there and says what is to run.
    fn tell(self, Place { waiting, user, start }: Place) -> Result<Beginning, RunError> {
        self.put(&waiting, &user).map_err(RunError::Put)?;
        let program = self.order.argv.first().cloned().unwrap_or_default();
        // Before it is told: a short program may be over before we hear that it began.
        let at = Instant::now();
        Ok(Beginning { told: waiting.tell(&self.order), program, user, start, at })
    }

    fn put(&self, waiting: &Waiting, user: &User) -> std::io::Result<()> {
        let (folder, owner) = (waiting.folder(), user.uid());
        folder::put(folder, &self.files, owner, false)?;
        if self.is_compiled {
            folder::make_folder(folder, BUILT, owner)?;
        }
        let built = self.built.as_ref().map_or(&[][..], |built| &built.files);
        folder::put(folder, built, owner, true)
    }
}
