//! What is said on the bus, and how it is written where it leaves the process.

use skylift_model::{AppName, DeploymentId, InstanceId, RunId};

use crate::seen::{self, Answers, Load, Used};

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
    /// What the edge of this name sees of the load of apps that run.
    Load(String, Vec<(AppName, Load)>),
    /// What the edge of this name saw answered by the versions of apps that are rolled out.
    Answered(String, Vec<(DeploymentId, Answers)>),
    /// What the node of this name sees of the instances of apps.
    Used(String, Vec<(AppName, Used)>),
    /// Somebody asks why an app has as many instances as it has.
    ExplainAsked(AppName),
    /// Why it has; JSON on one line.
    Explained(AppName, String),
    /// Somebody asks what became of the connections of an app's instances.
    NetAsked(AppName),
    /// What did on the node of this name; JSON on one line.
    NetTold(AppName, String, String),
    /// A run may be ready to take.
    RunsReady,
    /// A worker has begun a run.
    RunBegan(RunId),
    /// These runs have settled. At least one.
    RunsSettled(Vec<RunId>),
    /// Somebody cancelled a run: whoever has it ends it.
    RunCancelled(RunId),
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
            Self::Load(edge, seen) => format!("load {edge}{}", seen::to_words(seen, |seen| seen.to_text())),
            Self::Answered(edge, seen) => format!("answered {edge}{}", seen::to_words(seen, Answers::to_text)),
            Self::Used(node, seen) => format!("used {node}{}", seen::to_words(seen, |seen| seen.to_text())),
            Self::ExplainAsked(app) => format!("explain-asked {app}"),
            Self::Explained(app, json) => format!("explained {app} {json}"),
            Self::NetAsked(app) => format!("net-asked {app}"),
            Self::NetTold(app, node, json) => format!("net-told {app} {node} {json}"),
            Self::RunsReady => "runs-ready".to_owned(),
            Self::RunBegan(id) => format!("run-began {id}"),
            Self::RunsSettled(ids) => {
                let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
                format!("runs-settled {}", ids.join(","))
            }
            Self::RunCancelled(id) => format!("run-cancelled {id}"),
            Self::Purge(app, PurgeWhat::Everything, id) => format!("purge {app} {id} everything -"),
            Self::Purge(app, PurgeWhat::Path(path), id) => format!("purge {app} {id} path {path}"),
            Self::Purge(app, PurgeWhat::Tag(tag), id) => format!("purge {app} {id} tag {tag}"),
            Self::Purged(id, edge) => format!("purged {id} {edge}"),
        }
    }

    /// Reads what [`Message::to_text`] wrote; `None` where it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The only ones that may have spaces in what they say.
        if let Some(rest) = text.strip_prefix("net-told ") {
            let mut words = rest.splitn(3, ' ');
            let (app, node) = (words.next()?.parse().ok()?, name_of(words.next())?);
            return Some(Self::NetTold(app, node, words.next()?.to_owned()));
        }
        if let Some((app, json)) = text.strip_prefix("explained ").and_then(|rest| rest.split_once(' ')) {
            return Some(Self::Explained(app.parse().ok()?, json.to_owned()));
        }
        let mut words = text.split(' ');
        let message = match words.next()? {
            "job-ready" => Self::JobReady,
            "log-grew" => Self::LogGrew(words.next()?.parse().ok()?),
            "deployment-changed" => Self::DeploymentChanged(words.next()?.parse().ok()?),
            "cancel-asked" => Self::CancelAsked(words.next()?.parse().ok()?),
            "routes-changed" => Self::RoutesChanged(words.next()?.parse().ok()?),
            "routes-applied" => {
                let (app, generation) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Self::RoutesApplied(app, generation, name_of(words.next())?)
            }
            "instances-changed" => Self::InstancesChanged(words.next()?.parse().ok()?),
            "drained" => Self::Drained(words.next()?.parse().ok()?, name_of(words.next())?),
            "load" => Self::Load(name_of(words.next())?, seen::parse_words(&mut words, Load::parse)?),
            "answered" => Self::Answered(name_of(words.next())?, seen::parse_words(&mut words, Answers::parse)?),
            "used" => Self::Used(name_of(words.next())?, seen::parse_words(&mut words, Used::parse)?),
            "explain-asked" => Self::ExplainAsked(words.next()?.parse().ok()?),
            "net-asked" => Self::NetAsked(words.next()?.parse().ok()?),
            "runs-ready" => Self::RunsReady,
            "run-began" => Self::RunBegan(words.next()?.parse().ok()?),
            "runs-settled" => {
                let ids = words.next()?.split(',').map(str::parse).collect::<Result<_, _>>();
                Self::RunsSettled(ids.ok()?)
            }
            "run-cancelled" => Self::RunCancelled(words.next()?.parse().ok()?),
            "purge" => {
                let (app, id) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Self::Purge(app, PurgeWhat::parse(words.next()?, words.next()?)?, id)
            }
            "purged" => Self::Purged(words.next()?.parse().ok()?, name_of(words.next())?),
            _ => return None,
        };
        words.next().is_none().then_some(message)
    }
}

/// The name of an edge or a node.
fn name_of(word: Option<&str>) -> Option<String> {
    word.filter(|name| !name.is_empty()).map(str::to_owned)
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
        let run = |number| RunId::new(skylift_model::Timestamp::from_millis(1), number);
        for message in [
            Message::JobReady,
            Message::LogGrew(id.clone()),
            Message::DeploymentChanged(id.clone()),
            Message::CancelAsked(id.clone()),
            Message::RoutesChanged(app.clone()),
            Message::RoutesApplied(app.clone(), u64::MAX, "e-1".to_owned()),
            Message::InstancesChanged(app.clone()),
            Message::Drained(InstanceId::new(skylift_model::Timestamp::from_millis(1), 7), "e-1".to_owned()),
            Message::Load(
                "e-1".to_owned(),
                vec![
                    (app.clone(), Load { over_ms: 1, arrived: u64::MAX, ended: 2, busy_us: 3, waiting: 4, held_us: 5 }),
                    ("b".parse().unwrap(), Load::default()),
                ],
            ),
            Message::Answered(
                "e-1".to_owned(),
                vec![(id, Answers { answered: u64::MAX, failed: 1, took: std::array::from_fn(|at| at as u64) })],
            ),
            Message::Used("n".to_owned(), vec![(app.clone(), Used { reporting: 3, cpu: 9_950 })]),
            Message::ExplainAsked(app.clone()),
            Message::NetAsked(app.clone()),
            Message::RunsReady,
            Message::RunBegan(run(1)),
            Message::RunsSettled(vec![run(1), run(2)]),
            Message::RunCancelled(run(3)),
            Message::Purge(app.clone(), PurgeWhat::Everything, 0),
            Message::Purge(app.clone(), PurgeWhat::Path("/a%20b?c".to_owned()), 1),
            Message::Purge(app, PurgeWhat::Tag("a-b".to_owned()), u64::MAX),
            Message::Purged(7, "e-1".to_owned()),
        ] {
            assert_eq!(Message::parse(&message.to_text()), Some(message.clone()), "{message:?}");
            assert_eq!(Message::parse(&format!("{} x", message.to_text())), None);
        }
        let explained = Message::Explained("shop".parse().unwrap(), "{\"a\": \"b c\"}".to_owned());
        assert_eq!(Message::parse(&explained.to_text()), Some(explained));
        let told = Message::NetTold("shop".parse().unwrap(), "n".to_owned(), "{\"a\": \"b c\"}".to_owned());
        assert_eq!(Message::parse(&told.to_text()), Some(told));
        for other in [
            "",
            "net-told shop n",
            "net-told shop  {}",
            "explained shop",
            "explained ../x {}",
            "load e shop:1,2,3,4,5",
            "load e shop:1,2,3,4,5,-6",
            "load e shop",
            "answered e shop:1,2",
            "answered e d-0000000000000000:1,2,3",
            "used n shop:1,2,3",
            "used  shop:1,2",
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
