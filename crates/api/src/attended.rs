//! A run with its client at it, over a WebSocket.
//!
//! ```text
//! runs ──its end──▶ all of it is told, closed
//!   └ the client has gone, takes nothing, or says what is not understood ──▶ killed
//! ```
//!
//! What is said and how is the [`Dialect`]'s. The run goes on by itself: a client that does not read holds up neither its limits nor its
//! end, and what waits for the client is what was printed, which has its limit. Of what waits for the program no more is read than
//! [`STDIN_WAITS_MAX`].

mod line;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use skylift_model::run::{Encoding, Ending, Step};
use skylift_queue::{Live, Seen};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::allowance;
use crate::answers::Hold;
use crate::disk;
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::routes::runs::{Asked, Cut, asked_of, cut, keep};
use crate::runs::Along;
pub(crate) use line::{Close, First, Gone, Line};

/// How many bytes of input wait for the program; then the client does.
const STDIN_WAITS_MAX: usize = 1 << 20;
/// How many bytes of a stream are told at once.
const PIECE_BYTES: usize = 64 << 10;
/// How often a client is asked whether it is there, and how long it may say nothing at all.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const SILENT_FOR: Duration = Duration::from_secs(35);

/// How somebody speaks about a run.
pub(crate) trait Dialect: Send {
    /// What a client's message says.
    fn heard(&mut self, text: &str) -> Said;
    /// It was compiled, well or not.
    fn compiled(&mut self, step: &Step) -> Vec<String>;
    /// Its program runs.
    fn began(&mut self) -> Vec<String>;
    /// It printed something.
    fn printed(&mut self, cut: &Cut) -> String;
    /// It has ended, or could not be run.
    fn ended(&mut self, ended: Result<Ending, ApiError>) -> (Vec<String>, Close);
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// For the program to read.
    Stdin(Vec<u8>),
    /// There is no more of that.
    StdinEnd,
    /// For its first process.
    Signal(i32),
    Nothing,
    /// Not to be understood: what to tell, and how to close.
    Wrong(Option<String>, Close),
}

/// A run that goes on. With it goes what runs.
pub(crate) struct Begun {
    pub(crate) live: Arc<Live>,
    running: JoinSet<Result<Ending, ApiError>>,
    /// For its answer, where that is one: a key's place until it was taken.
    pub(crate) hold: Hold,
}

/// What a client sends to a run.
#[derive(Default)]
pub(crate) struct Sends {
    pub(crate) stdin: Option<mpsc::Receiver<Vec<u8>>>,
    pub(crate) signals: Option<mpsc::Receiver<i32>>,
}

impl Begun {
    /// Takes it from what the key may have, and begins.
    pub(crate) async fn begin(auth: Authorized<MayRun>, asked: Asked, sends: Sends) -> Result<Self, ApiError> {
        if asked.keep {
            disk::admit_kept(&auth)?;
        }
        let turn = allowance::take(&auth, asked.count()).await?;
        let live = Live::new(usize::try_from(asked.job().limits.output_bytes).unwrap_or(usize::MAX));
        let along = Along { live: Some(live.clone()), stdin: sends.stdin, signals: sends.signals };
        let hold = Hold::new(turn.clone(), None);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let _turn = turn;
            let whose = asked_of(&auth, &asked);
            let run = auth.runs.run(asked.job(), whose, along);
            let ending = auth.under_way.unless_revoked(&auth.token, run).await?;
            keep(&auth, asked, &ending).await?;
            Ok(ending)
        });
        Ok(Self { live, running, hold })
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Result<Ending, ApiError> {
        match self.running.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => Err(ApiError::internal(&error)),
            None => Err(ApiError::internal(&std::io::Error::other("a run that has ended was waited for"))),
        }
    }
}

/// Both sides of a run.
struct Attended<D> {
    begun: Begun,
    dialect: D,
    encoding: Encoding,
    follow: watch::Receiver<Seen>,
    seen: Seen,
    /// `None` once there is no more, or nobody who reads.
    stdin: Option<mpsc::Sender<Vec<u8>>>,
    signals: mpsc::Sender<i32>,
    waits: VecDeque<Vec<u8>>,
    waits_bytes: usize,
    stdin_ends: bool,
}

enum Event {
    Ended(Result<Ending, ApiError>),
    Grew,
    /// The program may be given more; `false` where it reads no more.
    Room(bool),
    Heard(Option<String>),
    Tick,
}

/// Begins a run and stays with it to its end, which is the connection's as well; the connection's is the run's.
pub(crate) async fn attend(mut line: Line, auth: Authorized<MayRun>, asked: Asked, mut dialect: impl Dialect) {
    let (stdin, reads) = mpsc::channel(1);
    let (signals, receives) = mpsc::channel(8);
    let sends = Sends { stdin: Some(reads), signals: Some(receives) };
    let encoding = asked.job().encoding;
    let mut begun = match Begun::begin(auth, asked, sends).await {
        Ok(begun) => begun,
        Err(error) => {
            let (texts, close) = dialect.ended(Err(error));
            return line.part(texts, close).await;
        }
    };
    // Who is told its end may begin the next; and who takes nothing is left.
    begun.hold = Hold::default();
    let follow = begun.live.follow();
    let mut attended = Attended {
        begun,
        dialect,
        encoding,
        follow,
        seen: Seen::default(),
        stdin: Some(stdin),
        signals,
        waits: VecDeque::new(),
        waits_bytes: 0,
        stdin_ends: false,
    };
    let last = attended.stay(&mut line).await;
    // Before anybody hears that it is over.
    attended.begun.running.shutdown().await;
    if let Ok((texts, close)) = last {
        line.part(texts, close).await;
    }
}

impl<D: Dialect> Attended<D> {
    /// Returns with the last that is to be said.
    async fn stay(&mut self, line: &mut Line) -> Result<(Vec<String>, Close), Gone> {
        let mut ticks = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_at = Instant::now();
        loop {
            match self.next(line, &mut ticks).await? {
                Event::Ended(ended) => {
                    self.tell(line, true).await?;
                    return Ok(self.dialect.ended(ended));
                }
                Event::Grew => self.tell(line, false).await?,
                Event::Room(true) => self.pass_on(),
                Event::Room(false) => self.read_no_more(),
                Event::Heard(text) => {
                    heard_at = Instant::now();
                    if let Some(last) = text.and_then(|text| self.hear(&text)) {
                        return Ok(last);
                    }
                }
                Event::Tick if heard_at.elapsed() > SILENT_FOR => return Err(Gone),
                Event::Tick => line.ping().await?,
            }
        }
    }

    async fn next(&mut self, line: &mut Line, ticks: &mut tokio::time::Interval) -> Result<Event, Gone> {
        let Self { begun, follow, stdin, waits, waits_bytes, .. } = self;
        let room = async {
            match stdin {
                Some(stdin) => stdin.reserve().await.is_ok(),
                None => false,
            }
        };
        tokio::select! {
            ended = begun.ended() => Ok(Event::Ended(ended)),
            _ = follow.changed() => Ok(Event::Grew),
            is_open = room, if !waits.is_empty() => Ok(Event::Room(is_open)),
            heard = line.hear(), if *waits_bytes < STDIN_WAITS_MAX => Ok(Event::Heard(heard?)),
            _ = ticks.tick() => Ok(Event::Tick),
        }
    }

    fn hear(&mut self, text: &str) -> Option<(Vec<String>, Close)> {
        match self.dialect.heard(text) {
            // Who reads no more, or was told that there is no more, is sent none.
            Said::Stdin(bytes) if self.stdin.is_some() && !self.stdin_ends && !bytes.is_empty() => {
                self.waits_bytes += bytes.len();
                self.waits.push_back(bytes);
            }
            Said::StdinEnd => {
                self.stdin_ends = true;
                if self.waits.is_empty() {
                    self.stdin = None;
                }
            }
            Said::Signal(number) => {
                // More of them than are looked at are lost, as signals are.
                let _ = self.signals.try_send(number);
            }
            Said::Stdin(_) | Said::Nothing => {}
            Said::Wrong(text, close) => return Some((text.into_iter().collect(), close)),
        }
        None
    }

    fn pass_on(&mut self) {
        if let (Some(stdin), Some(bytes)) = (&self.stdin, self.waits.pop_front()) {
            self.waits_bytes -= bytes.len();
            let _ = stdin.try_send(bytes);
        }
        if self.stdin_ends && self.waits.is_empty() {
            self.stdin = None;
        }
    }

    fn read_no_more(&mut self) {
        self.stdin = None;
        self.waits.clear();
        self.waits_bytes = 0;
    }

    /// Tells what is new; of what is all, also what is no whole character.
    async fn tell(&mut self, line: &mut Line, is_all: bool) -> Result<(), Gone> {
        let is_now = *self.follow.borrow_and_update();
        let live = self.begun.live.clone();
        if is_now.compiled && !self.seen.compiled {
            self.seen.compiled = true;
            if let Some(step) = live.compiling() {
                line.say_all(self.dialect.compiled(&step)).await?;
            }
        }
        if is_now.began && !self.seen.began {
            self.seen.began = true;
            line.say_all(self.dialect.began()).await?;
        }
        let mut flushes = is_all;
        loop {
            let new = live.some_since(self.seen, PIECE_BYTES);
            let mut cuts = cut(&new, &mut self.seen, self.encoding, false);
            if cuts.is_empty() && flushes {
                flushes = false;
                cuts = cut(&new, &mut self.seen, self.encoding, true);
            }
            if cuts.is_empty() {
                return Ok(());
            }
            for cut in &cuts {
                line.say(self.dialect.printed(cut)).await?;
            }
        }
    }
}
