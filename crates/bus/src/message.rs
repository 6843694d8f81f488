//! What is said on the bus, and how it is written where it leaves the process.

use skylift_model::{AppName, DeploymentId, InstanceId};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A job may be ready to lease.
    JobReady,
    /// A deployment has new log lines.
    LogGrew(DeploymentId),
    /// A deployment changed its state or has a new event.
    DeploymentChanged(DeploymentId),
    /// Somebody asked to cancel a deployment.
    CancelAsked(DeploymentId),
    /// The routes of an app changed: edges re-read them.
    RoutesChanged(AppName),
    /// The edge of this name serves the routes of an app at this generation; 0 where nothing of it is live, or it is gone.
    RoutesApplied(AppName, u64, String),
    /// The instances of an app changed, or how many there should be: workers and planners re-read them.
    InstancesChanged(AppName),
    /// At the edge of this name nothing is under way any more at an instance that is to be stopped, and nothing new will be.
    Drained(InstanceId, String),
    /// Somebody asked to drop answers that are kept for an app; the number is answered with.
    Purge(AppName, PurgeWhat, u64),
    /// The edge of this name has dropped them.
    Purged(u64, String),
}

/// Which answers to drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeWhat {
    /// All of the app's.
    Everything,
    /// Those of a path; visible ASCII. One that ends in `*` is for all that begin so.
    Path(String),
    /// Those with this `Cache-Tag`; visible ASCII.
    Tag(String),
}

impl Message {
    /// One line: a word and what it is about.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::JobReady => "job-ready".to_owned(),
            Self::LogGrew(id) => format!("log-grew {id}"),
            Self::DeploymentChanged(id) => format!("deployment-changed {id}"),
            Self::CancelAsked(id) => format!("cancel-asked {id}"),
            Self::RoutesChanged(app) => format!("routes-changed {app}"),
            Self::RoutesApplied(app, generation, edge) => format!("routes-applied {app} {generation} {edge}"),
            Self::InstancesChanged(app) => format!("instances-changed {app}"),
            Self::Drained(instance, edge) => format!("drained {instance} {edge}"),
            Self::Purge(app, PurgeWhat::Everything, id) => format!("purge {app} {id} everything -"),
            Self::Purge(app, PurgeWhat::Path(path), id) => format!("purge {app} {id} path {path}"),
            Self::Purge(app, PurgeWhat::Tag(tag), id) => format!("purge {app} {id} tag {tag}"),
            Self::Purged(id, edge) => format!("purged {id} {edge}"),
        }
    }

    /// Reads what [`Message::to_text`] wrote; `None` where it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let message = match words.next()? {
            "job-ready" => Self::JobReady,
            "log-grew" => Self::LogGrew(words.next()?.parse().ok()?),
            "deployment-changed" => Self::DeploymentChanged(words.next()?.parse().ok()?),
            "cancel-asked" => Self::CancelAsked(words.next()?.parse().ok()?),
            "routes-changed" => Self::RoutesChanged(words.next()?.parse().ok()?),
            "routes-applied" => {
                let (app, generation) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Self::RoutesApplied(app, generation, edge_of(words.next())?)
            }
            "instances-changed" => Self::InstancesChanged(words.next()?.parse().ok()?),
            "drained" => Self::Drained(words.next()?.parse().ok()?, edge_of(words.next())?),
            "purge" => {
                let (app, id) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Self::Purge(app, PurgeWhat::parse(words.next()?, words.next()?)?, id)
            }
            "purged" => Self::Purged(words.next()?.parse().ok()?, edge_of(words.next())?),
            _ => return None,
        };
        words.next().is_none().then_some(message)
    }
}

/// The name of an edge.
fn edge_of(word: Option<&str>) -> Option<String> {
    word.filter(|edge| !edge.is_empty()).map(str::to_owned)
}

impl PurgeWhat {
    fn parse(kind: &str, text: &str) -> Option<Self> {
        let is_visible = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        match kind {
            "everything" if text == "-" => Some(Self::Everything),
            "path" if is_visible => Some(Self::Path(text.to_owned())),
            "tag" if is_visible => Some(Self::Tag(text.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_as_it_was_written_and_nothing_else_is() {
        let id = DeploymentId::new(skylift_model::Timestamp::from_millis(1), 7);
        let app: AppName = "shop".parse().unwrap();
        for message in [
            Message::JobReady,
            Message::LogGrew(id.clone()),
            Message::DeploymentChanged(id.clone()),
            Message::CancelAsked(id),
            Message::RoutesChanged(app.clone()),
            Message::RoutesApplied(app.clone(), u64::MAX, "e-1".to_owned()),
            Message::InstancesChanged(app.clone()),
            Message::Drained(InstanceId::new(skylift_model::Timestamp::from_millis(1), 7), "e-1".to_owned()),
            Message::Purge(app.clone(), PurgeWhat::Everything, 0),
            Message::Purge(app.clone(), PurgeWhat::Path("/a%20b?c".to_owned()), 1),
            Message::Purge(app, PurgeWhat::Tag("a-b".to_owned()), u64::MAX),
            Message::Purged(7, "e-1".to_owned()),
        ] {
            assert_eq!(Message::parse(&message.to_text()), Some(message.clone()), "{message:?}");
            assert_eq!(Message::parse(&format!("{} x", message.to_text())), None);
        }
        for other in [
            "",
            "job-readyish",
            "log-grew",
            "log-grew ../x",
            "routes-applied shop",
            "routes-applied shop -1 e",
            "routes-applied shop 1",
            "routes-applied shop 1 ",
            "drained i-0 e-1",
            "purge shop 1 path",
            "purge shop 1 all x",
            "purge shop x tag a",
            "purge shop 1 path \u{e9}",
            "purged 1",
            "purged x e",
        ] {
            assert_eq!(Message::parse(other), None, "{other}");
        }
    }
}
