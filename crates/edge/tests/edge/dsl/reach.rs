//! Apps that run, as the edge sees them: instances that are origins.

use std::collections::HashMap;
use std::net::SocketAddr;

use skylift_edge::{InstanceFuture, Instances};
use skylift_model::route::{AppRoutes, RoutedDeployment, RoutedInstance};
use skylift_model::{AppName, DeploymentId, Digest, InstanceId, Timestamp};
use tokio::net::TcpStream;

/// Where each instance listens.
#[derive(Default)]
pub(crate) struct Reach(HashMap<InstanceId, SocketAddr>);

/// The `number`th instance of a deployment, from 0.
pub(crate) fn instance(deployment: &DeploymentId, number: u64) -> InstanceId {
    let digits = deployment.as_str().bytes().fold(0, |sum: u64, byte| sum * 31 % 1_000_003 + u64::from(byte));
    InstanceId::new(Timestamp::from_millis(1), digits * 100 + number)
}

impl Reach {
    /// Routes to a deployment with an instance at each of these addresses.
    pub(crate) fn routes(&mut self, app: &AppName, deployment: DeploymentId, addresses: &[SocketAddr]) -> AppRoutes {
        let mut routed = RoutedDeployment::new(deployment.clone(), Digest::of(b"a program"));
        routed.runs = true;
        let mut instances = Vec::new();
        for (number, address) in (0..).zip(addresses) {
            let id = instance(&deployment, number);
            self.0.insert(id.clone(), *address);
            let (deployment, node) = (deployment.clone(), "here".to_owned());
            instances.push(RoutedInstance { id, deployment, node, serving: true, draining: false, unhealthy: false });
        }
        let (app, deployments) = (app.clone(), vec![routed]);
        AppRoutes {
            app,
            generation: 1,
            live: Some(deployment),
            deployments,
            instances,
            stopped: false,
            share: None,
            net_in: Vec::new(),
        }
    }
}

impl Instances for Reach {
    fn connect<'i>(&'i self, instance: &'i InstanceId, _: &'i str) -> InstanceFuture<'i> {
        Box::pin(async {
            let address = self.0.get(instance).ok_or(std::io::ErrorKind::NotFound)?;
            TcpStream::connect(address).await
        })
    }
}
