//! Events and logs: streams that are taken up again where they broke.

use std::time::Duration;

use skylift_model::wire::{Deployment, Event, Instance, LogLine};
use skylift_model::{AppName, DeploymentId, InstanceId, InstanceState};

use crate::follow::Follow;
use crate::{Client, ClientError};

/// How long to wait before asking again a server that ends a stream although more is to come.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// How often a server may be away that ended a stream before: half a minute.
const MISSED_MAX: u32 = 120;

/// What a command prints, line by line. What is not asked for is not read.
pub struct Output {
    client: Client,
    id: InstanceId,
    lines: Follow<LogLine>,
}

/// What came next of a command.
#[derive(Clone, Debug)]
pub enum Printed {
    Line(LogLine),
    /// It has ended, and this is how.
    Ended(Box<Instance>),
}

impl Output {
    /// The next line, or how the command ended. May be dropped and asked again: nothing is lost by that.
    pub async fn next(&mut self) -> Result<Printed, ClientError> {
        loop {
            if let Some(line) = self.lines.next().await? {
                return Ok(Printed::Line(line));
            }
            let instance = self.client.instance(&self.id).await?;
            if self.lines.is_over() || instance.state == InstanceState::Ended {
                return Ok(Printed::Ended(Box::new(instance)));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

impl Client {
    /// What happens to a deployment, from its beginning.
    pub fn events(&self, id: &DeploymentId) -> Follow<Event> {
        Follow::new(self.clone(), format!("/v1/deployments/{id}/events"))
    }

    /// The build log of a deployment as it grows, from its beginning or its last `tail` lines.
    pub fn logs(&self, id: &DeploymentId, tail: Option<u64>) -> Follow<LogLine> {
        Follow::new(self.clone(), format!("/v1/deployments/{id}/logs?follow=true")).tail(tail)
    }

    /// The log of a deployment as it is at this moment: all of it, or its last `tail` lines.
    pub async fn log_lines(&self, id: &DeploymentId, tail: Option<u64>) -> Result<Vec<LogLine>, ClientError> {
        Follow::new(self.clone(), format!("/v1/deployments/{id}/logs?follow=false")).tail(tail).collect().await
    }

    /// What an instance printed, as it is at this moment: all that is kept, or its last `tail` lines.
    pub async fn instance_log_lines(&self, id: &InstanceId, tail: Option<u64>) -> Result<Vec<LogLine>, ClientError> {
        Follow::new(self.clone(), format!("/v1/instances/{id}/logs?follow=false")).tail(tail).collect().await
    }

    /// What a command that runs once prints, for the client that asked for it: where that goes, the command is ended after a while.
    pub fn output_of(&self, id: &InstanceId) -> Output {
        let path = format!("/v1/instances/{id}/logs?follow=true&attached=true");
        Output { client: self.clone(), id: id.clone(), lines: Follow::new(self.clone(), path) }
    }

    /// The log of what is live of an app (of its newest deployment, where nothing is) as it is at this moment: all of it, or its last `tail` lines.
    pub async fn app_log_lines(&self, app: &AppName, tail: Option<u64>) -> Result<Vec<LogLine>, ClientError> {
        Follow::new(self.clone(), format!("/v1/apps/{app}/logs?follow=false")).tail(tail).collect().await
    }

    /// Waits until a deployment is settled, tells what happens to it, and returns what became of it.
    pub async fn wait_until_settled(
        &self,
        id: &DeploymentId,
        mut on_event: impl FnMut(Event),
    ) -> Result<Deployment, ClientError> {
        let (mut events, mut missed) = (self.events(id), 0);
        loop {
            // Not over with the event that says "live": the stream only ends once the edge serves it.
            while let Some(event) = events.next().await? {
                on_event(event);
            }
            match self.deployment(id).await {
                Ok(deployment) if deployment.state.is_settled() => return Ok(deployment),
                // A server that stops ends its streams in good order; the stream has the patience to wait for the next one.
                Ok(_) => missed = 0,
                Err(ClientError::Unreachable { .. }) if missed < MISSED_MAX => missed += 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Tells every line of a deployment's log until the deployment is settled and its log complete.
    pub async fn follow_log(
        &self,
        id: &DeploymentId,
        tail: Option<u64>,
        on_line: impl FnMut(LogLine),
    ) -> Result<(), ClientError> {
        self.follow_lines(id, self.logs(id, tail), on_line).await
    }

    /// The same, and for as long as the deployment runs what its instances print.
    pub async fn follow_output(
        &self,
        id: &DeploymentId,
        tail: Option<u64>,
        on_line: impl FnMut(LogLine),
    ) -> Result<(), ClientError> {
        let lines = Follow::new(self.clone(), format!("/v1/deployments/{id}/logs?follow=true&running=true")).tail(tail);
        self.follow_lines(id, lines, on_line).await
    }

    async fn follow_lines(
        &self,
        id: &DeploymentId,
        mut lines: Follow<LogLine>,
        mut on_line: impl FnMut(LogLine),
    ) -> Result<(), ClientError> {
        let mut was_settled = false;
        loop {
            while let Some(line) = lines.next().await? {
                on_line(line);
            }
            // A deployment that was settled before the stream began adds nothing after the stream's end.
            if lines.is_over() || was_settled {
                return Ok(());
            }
            was_settled = self.deployment(id).await?.state.is_settled();
            if !was_settled {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }
}
