//! `skylift work`: who runs code, what waits for them, and how they are set.

mod force;

use clap::{Args, Subcommand};
use skylift_model::wire::{Tuned, TunedPool, TunedWindow, Tuner, TunerList, WorkerState};

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::quantity::bytes;
use super::table::table;

/// Show who runs code, what waits for them, and how many there are to be
#[derive(Args)]
pub(crate) struct WorkArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Show what each has learnt of its languages, how warm it keeps them, and why
    Tuner,
}

pub(super) async fn run(args: WorkArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match args.verb {
        None => context.output.result(&client.workers().await?, force::whole),
        Some(Verb::Tuner) => {
            let list = client.tuner().await?;
            if list.tuners.is_empty() {
                say("no worker has run anything yet, or none has told: each tells every 5 s");
            }
            context.output.result(&list, whole)
        }
    }
}

fn whole(list: &TunerList) -> String {
    list.tuners.iter().map(worker).collect::<Vec<_>>().join("\n\n")
}

fn worker(tuner: &Tuner) -> String {
    let lost = if tuner.state == WorkerState::Lost { " (lost: this is what it told last)" } else { "" };
    let header = ["LANGUAGE", "A SECOND", "USUALLY", "BURST", "REFILL", "A RUN", "WAITS", "PROCESSOR", "READY", "COLD"];
    let inputs = table(header, tuner.told.pools.iter().map(inputs));
    let header = ["SETTING", "VALUE", "WHY"];
    let settings = table(header, tuner.told.pools.iter().flat_map(settings).chain(of_worker(tuner)));
    format!("worker {}{lost}\n{inputs}\n\n{settings}", tuner.worker)
}

fn inputs(pool: &TunedPool) -> [String; 10] {
    let ms = |micros: Option<u64>| micros.map_or("-".to_owned(), |micros| format!("{:.1} ms", micros as f64 / 1000.0));
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{share:.1} %"));
    [
        pool.language.clone(),
        format!("{:.2}", pool.rate_per_s),
        format!("{:.2}", pool.usual_per_s),
        pool.burst.to_string(),
        ms(pool.refill_us),
        ms(pool.service_us),
        ms(pool.wait_us),
        ms(pool.cpu_us),
        percent(pool.ready_percent),
        percent(pool.cold_percent),
    ]
}

fn settings(pool: &TunedPool) -> Vec<[String; 3]> {
    let name = |what: &str| format!("{} {what}", pool.language);
    let depth = pool.depth.as_ref().map(|depth| setting(name("places"), depth, |depth| format!("{depth:.0}")));
    let window = pool.window.as_ref().map(|TunedWindow { from_ms, until_ms, why }| {
        [name("wait"), format!("{} to {} s", from_ms / 1000, until_ms / 1000), why.clone()]
    });
    let memory = setting(name("memory"), &pool.memory_hint_bytes, |hint| bytes(hint as u64));
    depth.into_iter().chain(window).chain([memory]).collect()
}

fn of_worker(tuner: &Tuner) -> [[String; 3]; 2] {
    [
        setting("runs at a time".to_owned(), &tuner.told.concurrency, |count| format!("{count:.0}")),
        setting("BacklogPerInstance".to_owned(), &tuner.told.backlog_target, |target| format!("{target:.1}")),
    ]
}

fn setting(name: String, tuned: &Tuned, text: impl Fn(f64) -> String) -> [String; 3] {
    [name, text(tuned.value), tuned.why.clone()]
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;
    use skylift_model::wire::TunerTold;

    use super::*;

    #[test]
    fn every_column_and_setting_is_explained() {
        let page = include_str!("../../../../docs/runs.md");
        let python =
            TunedPool { depth: Some(Tuned::default()), window: Some(TunedWindow::default()), ..TunedPool::default() };
        let told = TunerTold { pools: vec![python], ..TunerTold::default() };
        let told_at = Timestamp::from_millis(0);
        let text = worker(&Tuner { worker: "n1".into(), state: WorkerState::Lost, told_at, told });
        let (columns, settings) = text.split_once("\n\n").unwrap();
        let columns = columns.lines().nth(1).unwrap().split("  ").map(str::trim).filter(|word| !word.is_empty());
        let settings = settings.lines().skip(1).map(|line| line.trim().split("  ").next().unwrap());
        let words: Vec<&str> = columns.skip(1).chain(settings).collect();
        assert_eq!(words.len(), 9 + 5, "{words:?}");
        for word in words {
            let is_there = page.contains(&format!("`{word}`")) || page.contains(&format!("`L {word}`"));
            assert!(is_there, "docs/runs.md does not explain `{word}`");
        }
    }

    #[test]
    fn inputs_settings_and_reasons_are_shown() {
        let tuned = |value, why: &str| Tuned { value, why: why.into() };
        let python = TunedPool {
            language: "python".into(),
            rate_per_s: 12.5,
            usual_per_s: 3.0,
            burst: 2,
            refill_us: Some(3400),
            ready_percent: Some(99.0),
            depth: Some(tuned(3.0, "a surge")),
            window: Some(TunedWindow { from_ms: 0, until_ms: 300_000, why: "as usual".into() }),
            memory_hint_bytes: tuned(13.0 * 1_048_576.0, "99 of 100"),
            ..TunedPool::default()
        };
        let go = TunedPool { language: "go".into(), memory_hint_bytes: tuned(0.0, "none"), ..TunedPool::default() };
        let told = TunerTold {
            pools: vec![go, python],
            concurrency: tuned(4.0, "processors"),
            backlog_target: tuned(5.0, "the default"),
            room_bytes: 0,
        };
        let (state, told_at) = (WorkerState::Lost, Timestamp::from_millis(0));
        let text = whole(&TunerList { tuners: vec![Tuner { worker: "n1".into(), state, told_at, told }] });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "worker n1 (lost: this is what it told last)");
        assert_eq!(lines[3], "python    12.50     3.00     2      3.4 ms  -      -      -          99.0 %  -");
        let rest: Vec<String> =
            lines[5..].iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            rest,
            [
                "SETTING VALUE WHY",
                "go memory 0 B none",
                "python places 3 a surge",
                "python wait 0 to 300 s as usual",
                "python memory 13.0 MiB 99 of 100",
                "runs at a time 4 processors",
                "BacklogPerInstance 5.0 the default",
            ]
        );
    }
}
