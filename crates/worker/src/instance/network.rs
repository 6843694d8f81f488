//! The network of an instance: what it is linked to, and its ways out.

use anyhow::Context;
use skylift_egress::{Gateway, Policy, Sockets, is_left_alone};
use skylift_log::Log;
use skylift_model::Program;
use skylift_sandbox::Relay;

use super::Instance;
use super::data::Taken;
use crate::links::{Linked, Places, linked};
use crate::worker::Settings;

/// Where the relay's proxy answers, inside.
pub(super) const PROXY_PORT: u16 = 3128;
/// Where names are asked for, inside.
const DNS_PORT: u16 = 53;

impl Instance {
    /// What its program links and its app keeps, where the instance itself listens on `own` and has taken these volumes.
    pub(super) fn linked(&self, program: &Program, own: u16, taken: &Taken) -> anyhow::Result<Linked> {
        let Settings { services, domain, .. } = &self.settings;
        let places = Places { services, domain, apps: self.worker.apps.as_ref() };
        let databases = self.own_databases()?;
        let (mut linked, on_server) = linked(&places, &self.input.instance.app, (&program.links, &databases), own)?;
        linked.lead_to(self.by_age(taken, on_server));
        Ok(linked)
    }

    /// The ports inside that lead out, where the instance itself listens on `own`. Those of services are its own where its
    /// `skylift.toml` leaves them alone.
    pub(super) fn relayed(&self, own: u16, linked: &Linked, program: &Program) -> Vec<u16> {
        let policy = &self.settings.egress;
        let mut ports = policy.ports.clone();
        ports.extend(policy.services.iter().filter(|port| !is_left_alone(&program.net.out, **port)));
        ports.extend(self.input.template.iter().flat_map(|template| template.security.ports.iter().copied()));
        ports.extend(policy.owner_allowed.iter().filter_map(|entry| entry.port));
        ports.extend(linked.passages.iter().map(|(port, _)| *port));
        ports.retain(|port| ![PROXY_PORT, DNS_PORT, own].contains(port));
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Serves what it asks for of other hosts; refusals are told in its log. The rules of its app are followed while it runs.
    pub(super) fn serve_network(
        &self,
        relay: Relay,
        linked: &Linked,
        program: &Program,
        log: &Log,
    ) -> anyhow::Result<Gateway> {
        let (log, step) = (log.clone(), self.step().to_owned());
        let tell = move |refusal: skylift_egress::Refusal| log.try_say(&step, &refusal.to_string());
        let (mut set, file) = (self.rules.clone(), program.net.clone());
        let mut in_force = move || set.borrow_and_update().clone().then(&file).out;
        let policy = Policy { rules: in_force(), ..self.settings.egress.clone() };
        let book = self.worker.books.of(&self.input.instance.app);
        let gateway = Gateway::start(policy, sockets(relay, linked), book, tell).context("serve its network")?;
        let (rules, mut changes) = (gateway.rules(), self.rules.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                rules.set(in_force());
            }
        });
        Ok(gateway)
    }
}

fn sockets(relay: Relay, linked: &Linked) -> Sockets {
    let (mut tcp, mut passages) = (Vec::new(), Vec::new());
    for (port, socket) in relay.tcp {
        match linked.passages.iter().find(|(at, _)| *at == port) {
            Some((_, passage)) => passages.push((passage.clone(), socket.into())),
            None => tcp.push((port, socket.into())),
        }
    }
    let dns = relay.dns.into_iter().map(Into::into).collect();
    Sockets { connect: relay.connect.into(), tcp, passages, dns }
}
