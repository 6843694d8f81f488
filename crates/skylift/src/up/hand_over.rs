//! One platform takes over from another on the same data folder, and clients notice a pause at most.
//!
//! ```text
//! new: connects to `hand-over` in the data folder, says where it is to listen
//! old: hands its listening socket over; goes on serving for a moment, telling clients to come back by a new connection;
//!      then ends as if told to by SIGTERM
//! new: waits until the data folder is free, starts, and accepts whoever has connected meanwhile
//! ```
//!
//! The kernel keeps connections that nobody has accepted for as long as anybody holds the socket.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::fs::{Mode, OFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::time::timeout;

use super::folder::DataFolder;

/// How long clients are told to come back by a new connection before connections that nobody used are closed.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// How long the old process may take to end: it drains, and ends its instances.
pub(super) const FREE_WITHIN: Duration = Duration::from_secs(90);
/// How long either side waits for the other's word.
const PATIENCE: Duration = Duration::from_secs(10);

const SOCKET: &str = "hand-over";
/// The first byte of the answer that comes with a socket; anything else is the reason why none does.
const GIVEN: u8 = b'+';

/// Waits for a process that takes over: one that is to listen where we do, of our user or root.
pub(super) struct Offer {
    socket: UnixListener,
    listener: OwnedFd,
    at: SocketAddr,
}

impl Offer {
    /// Offers a listening socket to whoever may open the data folder.
    pub(super) fn new(folder: &DataFolder, listener: OwnedFd, at: SocketAddr) -> anyhow::Result<Self> {
        let path = folder.path().join(SOCKET);
        // Left by one that was killed: the folder is ours alone.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
        let (_folder, short) = short_path(folder.path())?;
        let socket = UnixListener::bind(short).with_context(|| format!("listen on {}", path.display()))?;
        Ok(Self { socket, listener, at })
    }

    /// Comes back once somebody has taken it.
    pub(super) async fn taken(self) {
        loop {
            match self.answer_one().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "a hand-over failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn answer_one(&self) -> io::Result<bool> {
        let (mut stream, _) = self.socket.accept().await?;
        let user = stream.peer_cred()?.uid();
        if user != 0 && user != rustix::process::geteuid().as_raw() {
            return Ok(false);
        }
        let mut wanted = String::new();
        let asked = timeout(PATIENCE, BufReader::new(&mut stream).read_line(&mut wanted)).await;
        if !matches!(asked, Ok(Ok(1..))) {
            return Ok(false);
        }
        if wanted.trim().parse() != Ok(self.at) {
            let refusal = format!("the platform that runs listens on {}, not on {}", self.at, wanted.trim());
            stream.write_all(refusal.as_bytes()).await?;
            return Ok(false);
        }
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let listener = [self.listener.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&listener));
        rustix::net::sendmsg(&stream, &[IoSlice::new(&[GIVEN])], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(true)
    }
}

/// Asks the platform that runs on a data folder for its listening socket, which makes it end. `None` where none runs.
pub(super) fn ask(folder: &Path, at: SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    let Some(stream) = connect(folder).context("ask the platform that runs to hand over")? else { return Ok(None) };
    let told = || -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
        stream.set_read_timeout(Some(PATIENCE))?;
        io::Write::write_all(&mut &stream, format!("{at}\n").as_bytes())?;
        receive(&stream)
    };
    match told().context("hear from the platform that runs")? {
        (said, Some(listener)) if said == [GIVEN] => Ok(Some(listener.into())),
        (said, _) => bail!(
            "{}; start this one with the same address, or stop that one first",
            if said.is_empty() {
                "the platform that runs did not hand over".into()
            } else {
                String::from_utf8_lossy(&said)
            }
        ),
    }
}

fn connect(folder: &Path) -> io::Result<Option<UnixStream>> {
    let found = short_path(folder).and_then(|(_folder, path)| UnixStream::connect(path));
    match found {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

fn receive(mut stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut first = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        rustix::net::recvmsg(stream, &mut [IoSliceMut::new(&mut first)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut said = first.get(..received.bytes).unwrap_or_default().to_vec();
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let listener = descriptors.last();
    if listener.is_none() {
        stream.read_to_end(&mut said)?;
    }
    Ok((said, listener))
}

/// The name of a socket has room for a hundred bytes, a folder's may be longer: by descriptor it is short.
fn short_path(folder: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let open = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd()));
    Ok((open, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_handed_over_to_who_listens_in_the_same_place() {
        let home = tempfile::tempdir().unwrap();
        let folder = DataFolder::claim(home.path().join("a".repeat(120))).unwrap();
        let path = folder.path().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        assert!(ask(&path, at).unwrap().is_none(), "nobody runs");
        let offer = Offer::new(&folder, listener.into(), at).unwrap();
        let taken = tokio::spawn(offer.taken());

        let ask_for = |at| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || ask(&path, at))
        };
        let elsewhere = "127.0.0.1:1".parse().unwrap();
        let refused = ask_for(elsewhere).await.unwrap().unwrap_err().to_string();
        assert!(refused.contains(&format!("listens on {at}, not on 127.0.0.1:1")), "{refused}");
        assert!(!taken.is_finished());
        let given = ask_for(at).await.unwrap().unwrap().unwrap();
        taken.await.unwrap();
        assert_eq!(given.local_addr().unwrap(), at);
        let client = std::net::TcpStream::connect(at).unwrap();
        assert_eq!(given.accept().unwrap().1, client.local_addr().unwrap());
    }
}
