//! A way to a server that a test can cut in the middle of a commit, or lead to another server.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use skylift_peers::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Where the way ends when the next commit passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never hears of it.
    Before,
    /// The server hears of it; nobody waits for what it says.
    Within,
    /// The server has done it; its answer is lost.
    After,
}

#[derive(Default)]
struct State {
    to: PathBuf,
    cut: Option<Cut>,
    cuts: usize,
}

/// A socket in a folder of its own. Ends with the test's runtime.
pub(crate) struct Way {
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

impl Way {
    pub(crate) fn to(server: &Postgres) -> Self {
        let folder = tempfile::Builder::new().prefix("way").tempdir().unwrap();
        let state = Arc::new(Mutex::new(State { to: server.socket(), ..State::default() }));
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move { hand_on(client, &state).await });
            }
        });
        Self { folder, state }
    }

    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/postgres")
    }

    /// Leads new connections to another server. Those to the old one end with it.
    pub(crate) fn lead_to(&self, server: &Postgres) {
        self.state.lock().unwrap().to = server.socket();
    }

    /// Ends the connection with the next commit that passes.
    pub(crate) fn cut_next(&self, cut: Cut) {
        self.state.lock().unwrap().cut = Some(cut);
    }

    /// How many were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.state.lock().unwrap().cuts
    }
}

async fn hand_on(mut client: UnixStream, state: &Mutex<State>) {
    let to = state.lock().unwrap().to.clone();
    let Ok(mut server) = UnixStream::connect(to).await else { return };
    let (mut asked, mut said) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let asked = &asked[..length];
                if let Some(cut) = due(asked, state) {
                    return end(cut, asked, &mut server).await;
                }
                if server.write_all(asked).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut said) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&said[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Whether this is a commit of something, and the way is to end with it.
fn due(asked: &[u8], state: &Mutex<State>) -> Option<Cut> {
    let has = |text: &[u8]| asked.windows(text.len()).any(|window| window == text);
    if !has(b"COMMIT") || !has(b"writers") {
        return None;
    }
    let mut state = state.lock().unwrap();
    let cut = state.cut.take();
    state.cuts += usize::from(cut.is_some());
    cut
}

async fn end(cut: Cut, asked: &[u8], server: &mut UnixStream) {
    if cut == Cut::Before || server.write_all(asked).await.is_err() || cut == Cut::Within {
        return;
    }
    // The last thing it says is that it is ready, in no transaction.
    let mut said = Vec::new();
    while !said.ends_with(b"Z\0\0\0\x05I") {
        if !matches!(server.read_buf(&mut said).await, Ok(1..)) {
            return;
        }
    }
}
