//! One request: judged, led somewhere, and answered where all it takes is at hand.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use skylift_balance::Group;
use skylift_model::program::Protocol;

use super::hit::{Hit, find, lead};
use super::send::{Rest, Unsent};
use super::{COPIED_BYTES_MAX, Desk, Fast};
use crate::content::{By, Opened, Piece};
use crate::now::{Moment, now};
use crate::plain::judge::{Plain, PlainMethod, Verdict, judge};
use crate::plain::note::{Ending, Note};
use crate::relay::Relay;
use crate::relay::request::{self, Known};
use crate::request_ids;
use crate::routes::table::{Route, Target};
use crate::transport::Transport;

/// What came of one request.
pub(super) enum Step {
    Incomplete,
    Answered(usize),
    Send(usize, Box<Unsent>),
    Fetch(Piece),
    Relay(Box<Relay>),
    Odd,
    Closed,
}

impl<T: Transport> Fast<T> {
    /// Answers one request, if it is plain and all it takes is at hand.
    pub(super) fn step(&mut self, cx: &mut Context<'_>, bytes: &[u8], desk: &mut Desk) -> Step {
        let plain = match judge(bytes) {
            Verdict::Plain(plain) if self.gateway.fast && !self.never => plain,
            Verdict::Plain(_) => return Step::Odd,
            Verdict::Incomplete => return Step::Incomplete,
            Verdict::Odd => return Step::Odd,
        };
        if self.stopping.is_leaving() || plain.target.len() > self.gateway.limits.uri_bytes_max {
            return Step::Odd;
        }
        let started = now();
        let gateway = self.gateway.clone();
        let table = gateway.routes.load();
        let Some((route, target)) = lead(&table, &gateway.domain, self.local, &plain) else { return Step::Odd };
        if !route.net_in.is_empty() {
            return Step::Odd;
        }
        if let Some(group) = &target.group {
            return self
                .relay(&plain, bytes.get(..plain.length).unwrap_or_default(), (route, target, group), started)
                .map_or(Step::Odd, Step::Relay);
        }
        let Some(hit) = find((route, target), &plain, &mut desk.headers) else { return Step::Odd };
        let body = match self.body_of(&hit, plain.method) {
            Ok(body) => body,
            Err(piece) => return Step::Fetch(piece),
        };
        let client = gateway.clients.address(self.peer, plain.forwarded_for.into_iter());
        if gateway.limit(client, hit.route, started).is_err() {
            return Step::Odd;
        }
        let note = self.note(&plain, (route, target), (client, started), hit.status.as_u16());
        hit.write_head(note.id.as_str(), started, &mut desk.out);
        self.waiting.begin_idle_at(started.instant.into(), &gateway);
        self.fetches = 0;
        match self.write(cx, &mut desk.out, body, note, &hit) {
            Ok(None) => Step::Answered(plain.length),
            Ok(Some(unsent)) => Step::Send(plain.length, unsent),
            Err(Closed) => Step::Closed,
        }
    }

    /// A request for an instance, where whoever waits for one, and whoever stays with his, is left to the strict implementation.
    fn relay(
        &self,
        plain: &Plain<'_>,
        head: &[u8],
        (route, target, group): (&Arc<Route>, &Target, &Group),
        started: Moment,
    ) -> Option<Box<Relay>> {
        if target.sticky || group.ready() == 0 || !group.speaks_only(Protocol::Http1) {
            return None;
        }
        let client = self.gateway.clients.address(self.peer, plain.forwarded_for.into_iter());
        let note = self.note(plain, (route, target), (client, started), 0).into_owned();
        let known =
            Known { client: client.ip(), peer: self.peer, clients: &self.gateway.clients, id: note.id.as_str() };
        let request = request::write(head, &known)?;
        // What is left to the strict implementation is counted there.
        self.gateway.limit(client, route, started).ok()?;
        Some(Box::new(Relay {
            gateway: self.gateway.clone(),
            route: route.clone(),
            group: group.clone(),
            length: plain.length,
            request,
            method: plain.method.method(),
            note,
        }))
    }

    fn note<'n>(
        &self,
        plain: &Plain<'n>,
        (route, target): (&'n Route, &'n Target),
        (client, started): (SocketAddr, Moment),
        status: u16,
    ) -> Note<'n> {
        let given = self.gateway.clients.request_id(self.peer, plain.request_id.into_iter());
        Note {
            id: given.unwrap_or_else(|| request_ids::next(started)),
            started,
            client,
            host: plain.host.into(),
            app: route.app.as_str().into(),
            deployment: target.deployment.as_str().into(),
            method: plain.method.as_str(),
            path: path_of(plain.target).into(),
            status,
        }
    }

    /// The body, or what has to be fetched first.
    fn body_of(&mut self, hit: &Hit<'_>, method: PlainMethod) -> Result<Option<Opened>, Piece> {
        let form = hit.chosen.form;
        if method == PlainMethod::Head || hit.status != StatusCode::OK {
            return Ok(None);
        }
        let whole = Piece { digest: form.digest, size: form.size, first: 0, length: form.size };
        if let Some((piece, opened)) = self.fetched.take()
            && piece == whole
        {
            return Ok(Some(opened));
        }
        self.gateway.content.at_hand(&whole, By::size(form.size)).map(Some).ok_or(whole)
    }

    /// Writes an answer, as far as the socket takes it at once; records it if that is all of it.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        body: Option<Opened>,
        note: Note<'_>,
        hit: &Hit<'_>,
    ) -> Result<Option<Box<Unsent>>, Closed> {
        let head_bytes = out.len();
        let (rest, body_bytes) = match body {
            None => (Rest::Nothing, 0),
            Some(Opened::Memory(bytes)) if bytes.len() <= COPIED_BYTES_MAX => {
                out.extend_from_slice(&bytes);
                (Rest::Nothing, bytes.len() as u64)
            }
            Some(Opened::Memory(bytes)) => {
                let length = bytes.len() as u64;
                (Rest::Memory(bytes), length)
            }
            Some(Opened::File(file)) => (Rest::File(file, hit.chosen.form.size), hit.chosen.form.size),
        };
        let written = match Pin::new(&mut self.io).poll_write(cx, out) {
            Poll::Ready(Ok(written)) => written,
            Poll::Pending => 0,
            Poll::Ready(Err(_)) => {
                note.record(&self.gateway.access, &hit.route.counters, 0, Ending::Cut);
                return Err(Closed);
            }
        };
        if written == out.len() && matches!(rest, Rest::Nothing) {
            let body = (out.len() - head_bytes) as u64;
            note.record(&self.gateway.access, &hit.route.counters, body, Ending::Complete);
            return Ok(None);
        }
        let front = Bytes::copy_from_slice(out.get(written..).unwrap_or_default());
        let (note, counters) = (note.into_owned(), hit.route.counters.clone());
        Ok(Some(Box::new(Unsent { front, rest, body_bytes, note, counters })))
    }
}

/// The connection broke.
struct Closed;

fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}
