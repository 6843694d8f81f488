//! `skylift simulate`: how scaling would do on a load, beside models of others, without a server.

use std::fs;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use skylift_scale::Settings;
use skylift_scale::sim::{Load, Score, Service, Shape, Trace, compare, svg};

use super::Context;
use super::problem::Problem;
use super::table::table;

/// Show how scaling would do on a load, beside models of AWS, KEDA and Knative
#[derive(Args)]
#[command(group(ArgGroup::new("load").required(true).args(["trace", "shape"])))]
pub(crate) struct SimulateArgs {
    /// A recorded load: lines of a second and the requests a second from then on
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// A made load
    #[arg(long, value_name = "SHAPE")]
    shape: Option<ShapeName>,
    /// The first seed of arrivals and service times
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many seeds the figures are the mean of
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Requests a second of a shape at its lowest
    #[arg(long, value_name = "RATE", default_value_t = 2.0, value_parser = rate)]
    low: f64,
    /// Requests a second of a shape at its highest
    #[arg(long, value_name = "RATE", default_value_t = 20.0, value_parser = rate)]
    high: f64,
    /// Length of a shape
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    length: u32,
    /// Mean time to serve one request, in seconds, evenly half more or less
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    service: f64,
    /// Time from the start of an instance until it serves, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0, value_parser = seconds)]
    boot: f64,
    /// Requests that an instance serves at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: u32,
    /// A request should wait no longer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    goal: f64,
    /// Fewest instances
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    min: u32,
    /// Most instances
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max: u32,
    /// Write a chart of the first seed
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ShapeName {
    Step,
    Spike,
    Sine,
    Sawtooth,
    Diurnal,
    Poisson,
}

impl From<ShapeName> for Shape {
    fn from(name: ShapeName) -> Self {
        match name {
            ShapeName::Step => Self::Step,
            ShapeName::Spike => Self::Spike,
            ShapeName::Sine => Self::Sine,
            ShapeName::Sawtooth => Self::Sawtooth,
            ShapeName::Diurnal => Self::Diurnal,
            ShapeName::Poisson => Self::Poisson,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1000.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    within(text, 0.001, 3600.0)
}

fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| format!("say a number from {least} to {most}"))
}

pub(super) fn run(args: &SimulateArgs, context: &Context) -> Result<(), Problem> {
    let service = service(args)?;
    let loads = loads(args)?;
    let compared = compare(&loads, &service, &Settings::default());
    if let (Some(path), Some((_, load))) = (&args.svg, loads.first()) {
        fs::write(path, svg(load, &compared)).map_err(|source| Problem::WriteFile { path: path.clone(), source })?;
    }
    let scores: Vec<Score> = compared.into_iter().map(|(score, _)| score).collect();
    context.output.result(&scores, |scores| text(scores))
}

fn service(args: &SimulateArgs) -> Result<Service, Problem> {
    if args.min > args.max {
        return Err(Problem::usage(format!("--min {} is more than --max {}", args.min, args.max)));
    }
    Ok(Service {
        service_s: args.service,
        boot_s: args.boot,
        slots: args.slots,
        goal_s: args.goal,
        min: args.min,
        max: args.max,
        ..Service::default()
    })
}

/// One load for each seed.
fn loads(args: &SimulateArgs) -> Result<Vec<(u64, Load)>, Problem> {
    let seeds = (0..args.seeds).map(|n| args.seed.wrapping_add(n));
    let Some(path) = &args.trace else {
        let shape = args.shape.map_or(Shape::Step, Shape::from);
        return Ok(seeds.map(|seed| (seed, Load::of_shape(shape, args.low, args.high, args.length, seed))).collect());
    };
    let text = fs::read_to_string(path).map_err(|source| Problem::ReadFile { path: path.clone(), source })?;
    let trace = Trace::parse(&text).map_err(|error| {
        Problem::refused(format!("{}: {error}", path.display()), "see docs/scaling.md for what a trace is")
    })?;
    Ok(seeds.map(|seed| (seed, Load::of_trace(&trace, seed))).collect())
}

fn text(scores: &[Score]) -> String {
    let header = ["SCALER", "OVER THE GOAL", "PERCENT", "WAIT P99", "INSTANCE-SECONDS", "OVER-PROVISIONED", "CHANGES"];
    table(
        header,
        scores.iter().map(|score| {
            [
                score.scaler.clone(),
                format!("{:.1}", score.over_goal),
                format!("{:.2}", score.over_goal_percent),
                format!("{:.1} s", score.wait_p99_s),
                format!("{:.0}", score.instance_s),
                format!("{:.0}", score.over_provisioned_s),
                format!("{:.1}", score.changes),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Command, CommandLine};

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split(' '))
    }

    #[test]
    fn a_load_is_a_trace_or_a_shape_and_goes_with_every_other_flag() {
        for line in [
            "skylift simulate --trace t --seed 7 --svg f --json",
            "skylift simulate --shape spike --length 60 --low 1 --high 2 --seeds 3 --slots 2 --goal 1 --min 1 --max 9",
        ] {
            assert!(matches!(parse(line), Ok(CommandLine { command: Command::Simulate(_), .. })), "{line}");
        }
        for line in
            ["", " --trace t --shape step", " --shape cube", " --shape step --low NaN", " --shape step --length 0"]
        {
            assert!(parse(&format!("skylift simulate{line}")).is_err(), "{line}");
        }
        let neither = parse("skylift simulate").err().unwrap().to_string();
        assert!(neither.contains("--trace <FILE>|--shape <SHAPE>"), "{neither}");
    }

    #[test]
    fn fewest_are_no_more_than_most() {
        let service_of = |line: &str| match parse(line).unwrap().command {
            Command::Simulate(args) => super::service(&args),
            _ => unreachable!("it says simulate"),
        };
        let refused = service_of("skylift simulate --shape step --min 9 --max 3").err().unwrap();
        assert!(matches!(&refused, super::Problem::Usage { message } if message.contains("--min 9")));
        assert_eq!(service_of("skylift simulate --shape step --min 3 --max 3").unwrap().min, 3);
    }
}
