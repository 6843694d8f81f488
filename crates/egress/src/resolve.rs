//! From a host and a port to a connection: admit, resolve once, check every address, connect to a checked one.

mod outside;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
#[cfg(test)]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skylift_durable::{Defence, left_out};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[cfg(test)]
pub(crate) use outside::Answer;
pub(crate) use outside::{Outside, SystemOutside};

use crate::address::{OwnAddresses, OwnAddressesError};
use crate::host::{InvalidHost, Target};
use crate::policy::{InForce, Policy, admit, admit_address};
use crate::refusal::Refusal;

/// How long each step may take and how many connections a guest may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From a guest's connection to the end of its request's head.
    pub head: Duration,
    /// One look-up of a name.
    pub resolve: Duration,
    /// One attempt to connect to one address.
    pub connect: Duration,
    /// After this long without a byte in either direction a connection is closed (at most twice as long).
    pub idle: Duration,
    /// Connections of one gateway at a time; more wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            connections: 256,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    OwnAddresses(#[from] OwnAddressesError),
    #[error("`{host}` is no host")]
    Spelling {
        host: String,
        #[source]
        source: InvalidHost,
    },
    #[error("look up {host}")]
    Resolve {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{host} has no address")]
    NoAddress { host: String },
    #[error("connect to {host}:{port}")]
    Connect {
        host: String,
        port: u16,
        #[source]
        source: io::Error,
    },
    #[error("{host}:{port} did not answer in time")]
    Timeout { host: String, port: u16 },
}

/// Connects wherever a policy lets it, for a role of the platform that does so again and again.
pub struct Dialer {
    policy: Policy,
    limits: Limits,
    outside: Arc<dyn Outside>,
}

impl Dialer {
    /// One that goes by `policy`. Nothing is looked up yet.
    pub fn new(policy: Policy, limits: Limits) -> Self {
        Self { policy, limits, outside: Arc::new(SystemOutside::default()) }
    }

    /// Connects to `target`, if the policy admits it and every address it leads to.
    ///
    /// # Errors
    /// [`DialError`]; nothing was sent anywhere if it is a refusal.
    pub async fn dial(&self, target: &Target, port: u16) -> Result<TcpStream, DialError> {
        let exit = Exit {
            policy: InForce::new(self.policy.clone()),
            filter: AddressFilter::Listed,
            limits: self.limits,
            outside: self.outside.clone(),
        };
        exit.open(target, port).await
    }
}

/// The one door through which connections leave.
pub(crate) struct Exit {
    pub(crate) policy: InForce,
    pub(crate) filter: AddressFilter,
    pub(crate) limits: Limits,
    pub(crate) outside: Arc<dyn Outside>,
}

/// Which addresses are refused after a name was resolved.
pub(crate) enum AddressFilter {
    /// The list of [`crate::address`] and this host's own, which are read for each connection: they change.
    Listed,
    /// The list, and addresses that a test calls this host's.
    #[cfg(test)]
    Told(Arc<Mutex<OwnAddresses>>),
    /// None, to show in tests that it is the list that stops an attack.
    #[cfg(test)]
    Off,
}

/// More addresses of one name are checked but not tried.
const ADDRESSES_TRIED_MAX: usize = 8;

impl Exit {
    /// A connection to a place that the platform's owner named, so that no rule is asked.
    pub(crate) async fn open_named(&self, target: &Target, port: u16) -> Result<TcpStream, DialError> {
        let addresses = self.addresses(target, port).await?;
        self.connect(target, port, &addresses).await
    }

    /// A connection to `target`, if the policy admits it.
    pub(crate) async fn open(&self, target: &Target, port: u16) -> Result<TcpStream, DialError> {
        let policy = self.policy.get();
        admit(&policy, target, port)?;
        let addresses = self.addresses(target, port).await?;
        self.check(&policy, target, port, &addresses)?;
        self.connect(target, port, &addresses).await
    }

    async fn addresses(&self, target: &Target, port: u16) -> Result<Vec<IpAddr>, DialError> {
        let name = match target {
            Target::Address(ip) => return Ok(vec![*ip]),
            Target::Name(name) => name,
        };
        let host = name.to_string();
        match timeout(self.limits.resolve, self.outside.resolve(name)).await {
            Err(_) => Err(DialError::Timeout { host, port }),
            Ok(Err(source)) => Err(DialError::Resolve { host, source }),
            Ok(Ok(addresses)) if addresses.is_empty() => Err(DialError::NoAddress { host }),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }

    /// One bad address refuses the name: who answers with a private address beside a public one is up to something.
    fn check(&self, policy: &Policy, target: &Target, port: u16, addresses: &[IpAddr]) -> Result<(), DialError> {
        let own = match &self.filter {
            AddressFilter::Listed if left_out(Defence::Addresses) => return Ok(()),
            AddressFilter::Listed => OwnAddresses::read()?,
            #[cfg(test)]
            AddressFilter::Told(own) => own.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            #[cfg(test)]
            AddressFilter::Off => return Ok(()),
        };
        addresses.iter().try_for_each(|ip| Ok(admit_address(policy, &own, target, port, *ip)?))
    }

    async fn connect(&self, target: &Target, port: u16, addresses: &[IpAddr]) -> Result<TcpStream, DialError> {
        let host = target.to_string();
        let mut last = DialError::NoAddress { host: host.clone() };
        for ip in addresses.iter().take(ADDRESSES_TRIED_MAX) {
            let address = SocketAddr::new(*ip, port);
            match timeout(self.limits.connect, self.outside.connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(source)) => last = DialError::Connect { host: host.clone(), port, source },
                Err(_) => last = DialError::Timeout { host: host.clone(), port },
            }
        }
        Err(last)
    }
}
