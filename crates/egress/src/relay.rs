//! Connections of programs that know of no proxy: where they went is the local address they were accepted on.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::dns::Names;
use crate::gateway::Way;
use crate::host::Target;
use crate::resolve::DialError;
use crate::splice::{Metered, splice};

/// Carries one connection to where the guest wanted, or resets it.
pub(crate) async fn serve(way: &Way, guest: TcpStream, port: u16) {
    let Ok(local) = guest.local_addr() else { return };
    let target = destination(&way.names, local.ip());
    match way.exit.open(&target, port).await {
        Ok(outer) => {
            way.passed(&target, port);
            let outer = Metered::new(outer, Arc::clone(&way.tally));
            if let Err(error) = splice(guest, outer, way.exit.limits.idle).await {
                tracing::debug!(%target, port, %error, "relay a guest's connection");
            }
        }
        Err(error) => {
            // The connection is already established in the guest's eyes; a reset says more than an orderly end.
            let _best_effort = guest.set_zero_linger();
            match error {
                DialError::Refused(refusal) => way.refused(refusal),
                error => tracing::debug!(%target, port, error = %chain(&error), "open a guest's connection"),
            }
        }
    }
}

/// What an accepted connection's local address means: a name that was asked for before, or the address itself.
fn destination(names: &Names, local: IpAddr) -> Target {
    // A listener for both families reports IPv4 in IPv6 spelling; on the wire it was IPv4.
    let ip = local.to_canonical();
    match names.name_of(ip) {
        Some(name) => Target::Name(name),
        None => Target::Address(ip),
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_address_means_its_name_and_any_other_means_itself() {
        let names = Names::default();
        let Ok(Target::Name(name)) = Target::parse("a.example") else { panic!("a name") };
        let ip = names.address_of(&name).unwrap();
        assert_eq!(destination(&names, ip.into()), Target::Name(name.clone()));
        assert_eq!(destination(&names, ip.to_ipv6_mapped().into()), Target::Name(name));
        for ip in ["198.19.0.7", "10.0.0.5", "203.0.113.7", "2001:db8::1"] {
            let ip = ip.parse().unwrap();
            assert_eq!(destination(&names, ip), Target::Address(ip));
        }
    }
}
