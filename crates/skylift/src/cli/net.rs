//! `skylift net`: who may reach what of an app, and what met its rules.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use skylift_egress::{Policy, SERVICES};
use skylift_model::AppName;
use skylift_model::net::{InRule, InvalidPeer, NetRules, OutRule, Peer};
use skylift_model::wire::Net;

use super::Context;
use super::problem::Problem;
use super::table::table;

/// Show who may reach what of an app and what became of its connections, or change its rules
#[derive(Args)]
pub(crate) struct NetArgs {
    /// The app
    app: AppName,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Put a rule in front that allows
    Allow(Rule),
    /// Put a rule in front that refuses
    Deny(Rule),
    /// Remove a rule that was set by command
    Rm {
        direction: Direction,
        /// Its number, as it is shown
        number: usize,
    },
}

#[derive(Args)]
struct Rule {
    direction: Direction,
    /// A network or an address (`203.0.113.0/24`), for `out` also a name (`example.org`, `*.example.org`), with `:PORT` where only
    /// one is meant; `*` is everybody
    peer: Place,
    /// For `out`: only this port; may be repeated. Without it the usual ones are allowed, or all refused
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<u16>,
}

/// A peer, and the port that stands behind it.
#[derive(Clone, Debug)]
struct Place {
    peer: Peer,
    port: Option<u16>,
}

impl FromStr for Place {
    type Err = InvalidPeer;

    fn from_str(text: &str) -> Result<Self, InvalidPeer> {
        let whole = text.parse().map(|peer| Self { peer, port: None });
        // An IPv6 address has colons of its own; in front of a port it is in brackets.
        let Some((host, port)) = text.rsplit_once(':').filter(|_| whole.is_err()) else { return whole };
        match port.parse() {
            Ok(port) => Ok(Self { peer: host.parse()?, port: Some(port) }),
            Err(_) => whole,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// Connections that its instances make
    Out,
    /// Requests that are made to it
    In,
}

pub(super) async fn run(args: NetArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    if let Some(verb) = args.verb {
        let rules = changed(client.net(&args.app).await?.set, verb)?;
        client.set_net(&args.app, &rules).await?;
    }
    context.output.result(&client.net(&args.app).await?, whole)
}

fn changed(mut rules: NetRules, verb: Verb) -> Result<NetRules, Problem> {
    let (deny, rule) = match verb {
        Verb::Allow(rule) => (false, rule),
        Verb::Deny(rule) => (true, rule),
        Verb::Rm { direction, number } => return without(rules, direction, number),
    };
    let Rule { direction, peer: Place { peer, port }, mut ports } = rule;
    ports.extend(port.filter(|port| !ports.contains(port)));
    match direction {
        Direction::Out => {
            rules.out.retain(|other| (&other.to, &other.ports) != (&peer, &ports));
            rules.out.insert(0, OutRule { deny, to: peer, ports });
        }
        Direction::In if !ports.is_empty() => {
            let message = "requests come by the edge, so that there is no port to name".to_owned();
            return Err(Problem::Usage { message });
        }
        Direction::In => {
            rules.inward.retain(|other| other.from != peer);
            rules.inward.insert(0, InRule { deny, from: peer });
        }
    }
    Ok(rules)
}

fn without(mut rules: NetRules, direction: Direction, number: usize) -> Result<NetRules, Problem> {
    let count = if direction == Direction::Out { rules.out.len() } else { rules.inward.len() };
    let Some(at) = number.checked_sub(1).filter(|at| *at < count) else {
        let message = format!("no rule {number} was set by command");
        return Err(Problem::NotFound { message, hint: "`skylift net APP` shows their numbers".to_owned() });
    };
    match direction {
        Direction::Out => drop(rules.out.remove(at)),
        Direction::In => drop(rules.inward.remove(at)),
    }
    Ok(rules)
}

fn whole(net: &Net) -> String {
    let mut text = table(["", "#", "RULE", "SAID BY"], rules(net));
    let seen = net.seen.iter().map(|seen| {
        [seen.to.clone(), seen.passed.to_string(), seen.dropped.to_string(), seen.reason.clone().unwrap_or_default()]
    });
    let seen = table(["TO", "PASSED", "DROPPED", "WHY"], seen);
    if !seen.is_empty() {
        text.push_str("\n\n");
        text.push_str(&seen);
    }
    let usual = Policy { services: SERVICES.into(), ..Policy::default() }.open_ports();
    let usual: Vec<_> = usual.iter().map(u16::to_string).collect();
    format!("{text}\n\nThe usual ports: {}", usual.join(", "))
}

/// In the order in which they are asked.
fn rules(net: &Net) -> Vec<[String; 4]> {
    let row = |direction: &str, number: Option<usize>, rule: String, by: &str| {
        [direction.to_owned(), number.map(|at| at.to_string()).unwrap_or_default(), rule, by.to_owned()]
    };
    let mut rows = Vec::new();
    rows.extend(net.links.iter().map(|link| row("out", None, format!("link {link}"), "skylift.toml")));
    rows.extend(net.set.out.iter().zip(1..).map(|(rule, at)| row("out", Some(at), rule.to_string(), "command")));
    rows.extend(net.file.out.iter().map(|rule| row("out", None, rule.to_string(), "skylift.toml")));
    let owner = net.owner.iter().flatten();
    rows.extend(owner.map(|host| row("out", None, format!("allow {host}"), "the platform's owner")));
    rows.push(row("out", None, "allow public addresses on the usual ports".to_owned(), "default"));
    rows.push(row("out", None, "deny *".to_owned(), "always"));
    rows.extend(net.set.inward.iter().zip(1..).map(|(rule, at)| row("in", Some(at), rule.to_string(), "command")));
    rows.extend(net.file.inward.iter().map(|rule| row("in", None, rule.to_string(), "skylift.toml")));
    let some_are_allowed = net.set.inward.iter().chain(&net.file.inward).any(|rule| !rule.deny);
    let rest = if some_are_allowed { "deny *" } else { "allow * by the edge" };
    rows.push(row("in", None, rest.to_owned(), "default"));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, peer: &str, ports: &[u16]) -> Rule {
        Rule { direction, peer: peer.parse().unwrap(), ports: ports.to_vec() }
    }

    #[test]
    fn the_newest_rule_comes_first_and_takes_the_place_of_its_opposite() {
        let rules = changed(NetRules::default(), Verb::Allow(rule(Direction::Out, "*.example.org", &[443]))).unwrap();
        let rules = changed(rules, Verb::Deny(rule(Direction::Out, "*", &[]))).unwrap();
        let rules = changed(rules, Verb::Deny(rule(Direction::Out, "*.example.org", &[443]))).unwrap();
        let shown: Vec<_> = rules.out.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["deny *.example.org --port 443", "deny *"]);
        let rules = changed(rules, Verb::Rm { direction: Direction::Out, number: 1 }).unwrap();
        assert_eq!(rules.out.len(), 1);
        assert!(changed(rules, Verb::Rm { direction: Direction::In, number: 1 }).is_err());
    }

    #[test]
    fn a_port_may_stand_behind_the_host() {
        for (text, expected) in [
            ("db.example.org:5432", "allow db.example.org --port 5432"),
            ("*.example.org:25", "allow *.example.org --port 25"),
            ("203.0.113.7:25", "allow 203.0.113.7 --port 25"),
            ("[2001:db8::7]:25", "allow 2001:db8::7 --port 25"),
            ("*:25", "allow * --port 25"),
            ("2001:db8::7", "allow 2001:db8::7"),
            ("203.0.113.0/24", "allow 203.0.113.0/24"),
        ] {
            let rule = Rule { direction: Direction::Out, peer: text.parse().unwrap(), ports: vec![] };
            let rules = changed(NetRules::default(), Verb::Allow(rule)).unwrap();
            assert_eq!(rules.out.first().map(ToString::to_string).as_deref(), Some(expected), "{text}");
        }
        for text in ["db.example.org:", "db.example.org:65536", ":5432", "a:b:c"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        let both = Rule { direction: Direction::Out, peer: "a.example:25".parse().unwrap(), ports: vec![25, 26] };
        let rules = changed(NetRules::default(), Verb::Allow(both)).unwrap();
        assert_eq!(rules.out[0].ports, [25, 26]);
    }

    #[test]
    fn rules_for_requests_name_no_port() {
        assert!(changed(NetRules::default(), Verb::Allow(rule(Direction::In, "10.0.0.0/8", &[]))).is_ok());
        assert!(changed(NetRules::default(), Verb::Allow(rule(Direction::In, "10.0.0.0/8", &[80]))).is_err());
    }

    #[test]
    fn rules_are_shown_in_the_order_in_which_they_are_asked() {
        let inward = vec![InRule { deny: false, from: "203.0.113.0/24".parse().unwrap() }];
        let net = Net {
            set: NetRules { out: vec![], inward },
            owner: Some(vec!["db.lan:5432".to_owned()]),
            ..Net::default()
        };
        let shown = whole(&net);
        let lines: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "# RULE SAID BY",
                "out allow db.lan:5432 the platform's owner",
                "out allow public addresses on the usual ports default",
                "out deny * always",
                "in 1 allow 203.0.113.0/24 command",
                "in deny * default",
                "",
                "The usual ports: 22, 80, 443, 465, 587, 993, 1433, 2525, 3306, 4222, 5432, 5671, 5672, 6379, 6380, 6432, 6543, \
                 8080, 8443, 8883, 9042, 9092, 9093, 9094, 9200, 9440, 25060, 26257, 27017",
            ]
        );
    }
}
