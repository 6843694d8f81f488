//! `skylift scale`: how many instances an app has, by hand or by its load.

use std::str::FromStr;

use clap::Args;
use skylift_client::Client;
use skylift_model::AppName;
use skylift_model::program::WEB;
use skylift_model::wire::{ChooseType, Scaling, ScalingExplained, ScalingNow, SetInstances};

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, count, now};
use super::table::table;

/// Set how many instances an app has, by hand or by its load; without anything else, show why it has as many
#[derive(Args)]
pub(crate) struct ScaleArgs {
    /// The app
    app: AppName,
    /// How many now, within its bounds (0 stops it until it is set again), or how many of another process: `3`, `worker=2`
    #[arg(value_name = "N|PROCESS=N", conflicts_with = "explain")]
    wanted: Vec<Count>,
    #[command(flatten)]
    change: Change,
    /// How much CPU and memory each instance may use, by name; they are replaced one by one
    #[arg(long = "type", value_name = "NAME")]
    instance_type: Option<String>,
    /// Forget what was set by command, the type included: `[scale]` and `[instance]` of its skylift.toml count again
    #[arg(long, conflicts_with_all = ["wanted", "explain", "instance_type", "min", "max", "cpu", "in_flight", "rps", "hold", "idle"])]
    reset: bool,
    /// Show why there are as many as there are, and every step on the way
    #[arg(long)]
    explain: bool,
}

/// How many of which process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Count(SetInstances);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (process, count) = text.split_once('=').unwrap_or((WEB, text));
        let wanted = count.parse().map_err(|_| format!("`{count}` is no number of instances"))?;
        if process.is_empty() {
            return Err("name the process before the `=`, as in `worker=2`".to_owned());
        }
        Ok(Self(SetInstances { wanted, process: process.to_owned() }))
    }
}

/// What changes; the rest stays.
#[derive(Args)]
struct Change {
    /// Never fewer; with 0 an app that nobody asks sleeps, and the next request wakes it
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// Never more
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// Aim at this mean use of processor, in percent. Measures that are not named are switched off where one is
    #[arg(long, value_name = "PERCENT")]
    cpu: Option<u32>,
    /// Aim at so many requests at a time for each instance
    #[arg(long, value_name = "N")]
    in_flight: Option<u32>,
    /// Aim at so many requests a second for each instance
    #[arg(long, value_name = "N")]
    rps: Option<u32>,
    /// Fewer only down to the most that was wanted in this time
    #[arg(long, value_name = "SECONDS")]
    hold: Option<u32>,
    /// With `--min 0`: how long nobody may have asked before the last instance goes
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u32>,
}

impl Change {
    fn names_a_measure(&self) -> bool {
        self.cpu.or(self.in_flight).or(self.rps).is_some()
    }

    fn is_none(&self) -> bool {
        !self.names_a_measure() && [self.min, self.max, self.hold, self.idle].iter().all(Option::is_none)
    }

    fn of(&self, old: &Scaling) -> Scaling {
        let [cpu, in_flight, rps] = match self.names_a_measure() {
            true => [self.cpu, self.in_flight, self.rps],
            false => [old.cpu, old.in_flight, old.rps],
        };
        Scaling {
            min: self.min.unwrap_or(old.min),
            max: self.max.unwrap_or(old.max),
            cpu,
            in_flight,
            rps,
            hold_seconds: self.hold.unwrap_or(old.hold_seconds),
            idle_seconds: self.idle.unwrap_or(old.idle_seconds),
        }
    }
}

pub(super) async fn run(args: ScaleArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    if args.reset {
        client.set_instance_type(&args.app, &ChooseType { name: None }).await?;
        let counts = client.reset_scaling(&args.app).await?;
        say(&format!("{} is scaled as its skylift.toml says: {}", args.app, words(&counts)));
        say_where_stopped(&client, &args.app).await;
        return context.output.result(&counts, words);
    }
    if !args.change.is_none() {
        let scaling = args.change.of(&client.scaling(&args.app).await?);
        refuse_beyond(&args.app, &scaling, &args.wanted)?;
        let set = client.set_scaling(&args.app, &scaling).await?;
        say(&format!("{} is scaled: {}; `skylift scale {} --explain` tells why when", args.app, words(&set), args.app));
        if args.wanted.is_empty() && !args.explain && args.instance_type.is_none() {
            say_where_stopped(&client, &args.app).await;
            return context.output.result(&set, words);
        }
    }
    if let Some(name) = &args.instance_type {
        let set = client.set_instance_type(&args.app, &ChooseType { name: Some(name.clone()) }).await?;
        say(&format!("{} has instances of the type {name}; `skylift ps {} --template` shows more", args.app, args.app));
        if args.wanted.is_empty() && !args.explain {
            say_where_stopped(&client, &args.app).await;
            return context.output.result(&set, |set| set.chosen.clone().unwrap_or_default());
        }
    }
    for Count(count) in &args.wanted {
        let set = client.set_instances(&args.app, count).await?;
        say(&told(&args.app, &set));
        context.output.item(&set, |set| set.wanted.to_string())?;
    }
    if !args.wanted.is_empty() {
        return Ok(());
    }
    let explained = client.explain_scaling(&args.app).await?;
    context.output.result(&explained, whole)
}

/// Bounds and types count for a stopped app as soon as it is started, and do not start it.
async fn say_where_stopped(client: &Client, app: &AppName) {
    if client.explain_scaling(app).await.is_ok_and(|explained| explained.stopped) {
        say(&format!("{app} is stopped and stays so; `skylift scale {app} 1` starts it"));
    }
}

/// Both were to be set, and one alone would be.
fn refuse_beyond(app: &AppName, scaling: &Scaling, wanted: &[Count]) -> Result<(), Problem> {
    let Scaling { min, max, .. } = scaling;
    let is_beyond = |set: &&SetInstances| set.process == WEB && set.wanted > 0 && !(*min..=*max).contains(&set.wanted);
    match wanted.iter().map(|Count(set)| set).find(is_beyond) {
        Some(SetInstances { wanted, .. }) => Err(Problem::refused(
            format!("{wanted} is not within {min} to {max}: nothing of {app} was changed"),
            "name bounds that the number is within, such as `3 --min 1 --max 10`",
        )),
        None => Ok(()),
    }
}

fn told(app: &AppName, set: &SetInstances) -> String {
    let of = if set.process == WEB { String::new() } else { format!(" of {}", set.process) };
    match set.wanted {
        0 if set.process == WEB => format!(
            "{app} is stopped; `skylift scale {app} 1` starts it again (other processes go on: `skylift ps {app}`)"
        ),
        0 => format!("{app} is to have no {}", set.process),
        1 => format!("{app} is to have 1 instance{of}; `skylift ps {app}` shows it"),
        wanted if set.process == WEB => format!(
            "{app} is to have {wanted} instances; load may change that, `skylift scale {app} --min {wanted}` keeps them"
        ),
        wanted => format!("{app} is to have {wanted} instances{of}; `skylift ps {app}` shows them"),
    }
}

fn words(scaling: &Scaling) -> String {
    if scaling.min == scaling.max {
        return format!("always {}", count(scaling.min.into(), "instance"));
    }
    let measures = [
        scaling.cpu.map(|percent| format!("CPU {percent} %")),
        scaling.in_flight.map(|count| format!("{count} requests at a time")),
        scaling.rps.map(|rate| format!("{rate} requests a second")),
    ];
    let measures: Vec<String> = measures.into_iter().flatten().collect();
    let aims = if measures.is_empty() { "by hand alone".to_owned() } else { measures.join(", ") };
    format!("{} to {} instances, {aims}", scaling.min, scaling.max)
}

fn whole(explained: &ScalingExplained) -> String {
    let mut text = format!("{}\n", words(&explained.scaling));
    match (&explained.now, explained.stopped) {
        (_, true) => text.push_str("stopped by hand\n"),
        (None, false) => text.push_str(&format!("{} wanted; nothing was decided yet\n", explained.wanted)),
        (Some(now), false) => text.push_str(&seen(explained.wanted, now)),
    }
    if let Some(missing) = &explained.waits_for {
        text.push_str(&format!("no room for another instance: {missing}\n"));
    }
    if !explained.steps.is_empty() {
        let rows = explained
            .steps
            .iter()
            .map(|step| [ago(step.at, self::now()), format!("{} -> {}", step.from, step.to), step.reason.clone()]);
        text.push('\n');
        text.push_str(&table(["WHEN", "STEP", "WHY"], rows));
    }
    text.trim_end().to_owned()
}

fn seen(wanted: u32, now: &ScalingNow) -> String {
    let number = |value: Option<f64>| value.map_or("not known".to_owned(), |value| format!("{value:.1}"));
    let percent = now.cpu.map_or("not known".to_owned(), |percent| format!("{percent:.1} %"));
    let mut text = format!("{wanted} wanted, {} ready, {} starting: {}\n", now.ready, now.starting, now.reason);
    text.push_str(&format!(
        "CPU {percent}; requests a second {}, in flight {}, waiting {}\n",
        number(now.rps),
        number(now.in_flight),
        number(now.waiting)
    ));
    for answer in &now.answers {
        let wants = answer.wants.map_or("nothing".to_owned(), |wants| wants.to_string());
        text.push_str(&format!("  {} asks for {wants}: {}\n", answer.law, answer.why));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_the_bounds_that_come_with_it_changes_nothing() {
        let (app, bounds) = ("shop".parse().unwrap(), Scaling { min: 3, max: 4, ..Scaling::default() });
        let told =
            |count: &str| refuse_beyond(&app, &bounds, &[count.parse().unwrap()]).err().map(|why| why.to_string());
        assert_eq!(told("2").unwrap(), "2 is not within 3 to 4: nothing of shop was changed");
        assert_eq!([told("3"), told("4"), told("0"), told("worker=9")], [const { None }; 4]);
    }

    #[test]
    fn bounds_that_leave_nothing_to_decide_are_told_as_such() {
        let of = |min, max| words(&Scaling { min, max, ..Scaling::default() });
        assert_eq!([of(1, 1), of(3, 3)], ["always 1 instance", "always 3 instances"]);
        assert!(of(1, 3).starts_with("1 to 3 instances, CPU"));
    }

    #[test]
    fn a_count_alone_is_of_what_answers_requests() {
        let read = |text: &str| text.parse::<Count>().map(|Count(set)| (set.process, set.wanted));
        assert_eq!(read("3"), Ok(("web".to_owned(), 3)));
        assert_eq!(read("worker-2=0"), Ok(("worker-2".to_owned(), 0)));
        for bad in ["", "x", "worker=", "=2", "worker=-1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
