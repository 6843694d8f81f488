//! A comparison as a chart: instances above, waiting requests below, one line for each scaler.

use std::fmt::Write;

use super::load::Load;
use super::score::Score;
use super::world::{Point, Run};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const GAP: f64 = 50.0;
/// More points than this are not seen.
const POINTS_MAX: usize = 480;
const COLOURS: [&str; 6] = ["#0b6e4f", "#57a773", "#d1495b", "#edae49", "#30638e", "#8d6a9f"];

/// The chart as SVG, without scripts, fonts or links of its own.
#[must_use]
pub fn svg(load: &Load, compared: &[(Score, Run)]) -> String {
    let legend_top = TOP + 2.0 * HEIGHT + 2.0 * GAP;
    let (width, height) = (LEFT + WIDTH + 20.0, legend_top + 20.0 * (compared.len() as f64 + 1.0));
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>"##
    );
    let seconds = load.rates.len();
    let instances = |point: &Point| f64::from(point.instances);
    let waiting = |point: &Point| f64::from(point.waiting);
    let rates = Line { colour: "#bbb", values: load.rates.clone() };
    let of = |value: fn(&Point) -> f64| lines(compared, value);
    panel(&mut out, TOP, "instances (grey: arrivals a second)", seconds, [vec![rates], of(instances)].concat());
    panel(&mut out, TOP + HEIGHT + GAP, "waiting requests", seconds, of(waiting));
    for (index, (score, _)) in compared.iter().enumerate() {
        let y = legend_top + 20.0 * index as f64;
        let text = format!(
            "{}: {:.0} over the goal, {:.0} instance-seconds, {:.0} over-provisioned, {:.0} changes",
            escape(&score.scaler),
            score.over_goal,
            score.instance_s,
            score.over_provisioned_s,
            score.changes
        );
        let _ = write!(
            out,
            r#"<rect x="{LEFT}" y="{}" width="14" height="4" fill="{}"/><text x="{}" y="{y}">{text}</text>"#,
            y - 6.0,
            colour(index),
            LEFT + 22.0
        );
    }
    out.push_str("</svg>\n");
    out
}

#[derive(Clone)]
struct Line {
    colour: &'static str,
    values: Vec<f64>,
}

fn lines(compared: &[(Score, Run)], value: fn(&Point) -> f64) -> Vec<Line> {
    let line = |(index, (_, run)): (usize, &(Score, Run))| Line {
        colour: colour(index),
        values: run.points.iter().map(value).collect(),
    };
    compared.iter().enumerate().map(line).collect()
}

fn colour(index: usize) -> &'static str {
    COLOURS.iter().cycle().nth(index).copied().unwrap_or("#000")
}

fn panel(out: &mut String, top: f64, title: &str, seconds: usize, lines: Vec<Line>) {
    let largest = lines.iter().flat_map(|line| line.values.iter().copied()).fold(1.0, f64::max);
    let bottom = top + HEIGHT;
    let _ = write!(
        out,
        r##"<text x="{LEFT}" y="{}">{title}</text><text x="4" y="{}">{largest:.0}</text><text x="4" y="{bottom}">0</text><rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/><text x="{}" y="{}" text-anchor="end">{seconds} s</text>"##,
        top - 6.0,
        top + 10.0,
        LEFT + WIDTH,
        bottom + 16.0,
    );
    for line in lines {
        let _ = write!(out, r#"<polyline fill="none" stroke="{}" stroke-width="1.5" points=""#, line.colour);
        // The largest of those that share a point: a peak must not vanish.
        let chunk = line.values.len().div_ceil(POINTS_MAX).max(1);
        for (index, values) in line.values.chunks(chunk).enumerate() {
            let x = LEFT + WIDTH * (index * chunk) as f64 / seconds.max(1) as f64;
            let y = bottom - HEIGHT * values.iter().copied().fold(0.0, f64::max) / largest;
            let _ = write!(out, "{x:.1},{y:.1} ");
        }
        out.push_str(r#""/>"#);
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
