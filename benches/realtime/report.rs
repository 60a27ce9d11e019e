//! What is printed: figures beside those of the bare one and beside their targets.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde_json::{Value, json};

use crate::plan::Outcome;
use crate::process;
use crate::size::Size;
use crate::sqlite;
use crate::track::Faults;
use crate::usage::real;

/// What a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Of the bare one's.
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

/// One figure of the server, and of what it is compared with.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub server: f64,
    pub bare: Option<f64>,
    pub targets: &'static [Target],
}

/// What one run of a scenario came to.
#[derive(Debug, Clone)]
pub struct Measured {
    pub scenario: &'static str,
    pub figures: Vec<Figure>,
    /// All that was seen, by whom it was seen of.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

/// A figure over all runs.
#[derive(Debug)]
struct Row {
    scenario: &'static str,
    figure: Figure,
    ratio: Option<f64>,
}

impl Figure {
    pub fn new(name: &'static str, unit: &'static str, server: f64, bare: Option<f64>) -> Self {
        let targets = &[];
        Self {
            name,
            unit,
            server,
            bare,
            targets,
        }
    }

    pub fn with(self, targets: &'static [Target]) -> Self {
        Self { targets, ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.bare
            .filter(|bare| *bare > 0.0)
            .map(|bare| self.server / bare)
    }
}

impl Measured {
    pub fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        for (_, outcome) in &self.outcomes {
            faults.add(outcome.faults);
        }
        faults
    }

    /// Deliveries that were checked.
    pub fn checked(&self) -> u64 {
        self.outcomes
            .iter()
            .map(|(_, outcome)| outcome.checked)
            .sum()
    }

    fn json(&self) -> Value {
        let figures = self.figures.iter().map(|figure| {
            json!({
                "name": figure.name,
                "unit": figure.unit,
                "server": figure.server,
                "bare": figure.bare,
                "ratio": figure.ratio(),
            })
        });
        let outcomes = self.outcomes.iter().map(|(of, outcome)| {
            let mut seen = json!(outcome);
            seen["of"] = json!(of);
            seen
        });
        json!({
            "scenario": self.scenario,
            "figures": figures.collect::<Vec<_>>(),
            "outcomes": outcomes.collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn meets(&self, target: Target) -> bool {
        match target {
            Target::AtMost(most) => self.figure.server <= most,
            Target::AtLeast(least) => self.figure.server >= least,
            Target::RatioAtMost(most) => self.ratio.is_some_and(|ratio| ratio <= most),
            Target::RatioAtLeast(least) => self.ratio.is_some_and(|ratio| ratio >= least),
        }
    }

    fn json(&self) -> Value {
        let targets = self.figure.targets.iter();
        let targets =
            targets.map(|target| json!({"target": target.to_string(), "met": self.meets(*target)}));
        json!({
            "scenario": self.scenario,
            "name": self.figure.name,
            "unit": self.figure.unit,
            "server": self.figure.server,
            "bare": self.figure.bare,
            "ratio": self.ratio,
            "targets": targets.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(number) => write!(f, "<= {}", short(*number)),
            Self::AtLeast(number) => write!(f, ">= {}", short(*number)),
            Self::RatioAtMost(number) => write!(f, "<= {number} x"),
            Self::RatioAtLeast(number) => write!(f, ">= {number} x"),
        }
    }
}

/// The medians of all runs as a table, and whether all targets are met.
pub fn table(runs: &[Measured]) -> (String, bool) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "scenario", "figure", "unit", "server", "bare", "ratio", "target", "met",
    ]);
    let mut all_met = true;
    for row in rows(runs) {
        let figure = &row.figure;
        let met = figure.targets.iter().map(|target| row.meets(*target));
        let met: Vec<&str> = met.map(|met| if met { "yes" } else { "NO" }).collect();
        let targets: Vec<String> = figure.targets.iter().map(Target::to_string).collect();
        all_met &= !met.contains(&"NO");
        table.add_row([
            row.scenario.to_owned(),
            figure.name.to_owned(),
            figure.unit.to_owned(),
            short(figure.server),
            figure.bare.map_or_else(|| "-".to_owned(), short),
            row.ratio
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            targets.join(", "),
            met.join(", "),
        ]);
    }
    (table.to_string(), all_met)
}

/// The share of this machine that others had while something was measured, at the most, in percent.
/// PostgreSQL would count as another.
pub fn others<'a>(runs: impl Iterator<Item = &'a Measured>) -> f64 {
    let cores = available_parallelism().map_or(1, usize::from) as u64;
    let outcomes = runs.flat_map(|run| &run.outcomes);
    let measured = outcomes.filter(|(_, outcome)| outcome.seconds > 0.0);
    let shares = measured.map(|(_, o)| 100.0 * o.others_cpu / o.seconds / real(cores));
    shares.fold(0.0, f64::max)
}

/// All of it, for machines.
pub fn document(size: &Size, runs: &[Measured], failed: &[String]) -> Value {
    json!({
        "machine": machine(),
        "size": size,
        "medians": rows(runs).iter().map(Row::json).collect::<Vec<_>>(),
        "runs": runs.iter().map(Measured::json).collect::<Vec<_>>(),
        "failed": failed,
    })
}

/// Where it was measured, in a line.
pub fn place() -> String {
    let machine = machine();
    let text = |key: &str| match &machine[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!(
        "{}, {} cores, Linux {}, fdatasync {} ms",
        text("processor"),
        text("cores"),
        text("kernel"),
        text("fdatasync_ms")
    )
}

fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(Path::new(path)).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let mut lines = processors.lines();
    let model = lines.find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let sync = process::folder().and_then(|folder| sqlite::sync_time(folder.path()));
    json!({
        "processor": model.map_or("a processor without a name", |(_, name)| name),
        "cores": available_parallelism().map_or(0, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "fdatasync_ms": sync.ok().map(|millis| (millis * 1000.0).round() / 1000.0),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// The medians, in the order of the first run.
fn rows(runs: &[Measured]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for measured in runs {
        for figure in &measured.figures {
            let known =
                |row: &Row| row.scenario == measured.scenario && row.figure.name == figure.name;
            if rows.iter().any(known) {
                continue;
            }
            let same = runs.iter().filter(|run| run.scenario == measured.scenario);
            let same = same.flat_map(|run| &run.figures);
            let same: Vec<&Figure> = same.filter(|other| other.name == figure.name).collect();
            let server = median(same.iter().map(|figure| figure.server));
            rows.push(Row {
                scenario: measured.scenario,
                figure: Figure {
                    server: server.unwrap_or(figure.server),
                    bare: median(same.iter().filter_map(|figure| figure.bare)),
                    ..figure.clone()
                },
                ratio: median(same.iter().filter_map(|figure| figure.ratio())),
            });
        }
    }
    rows
}

fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let (low, high) = (
        numbers.get(numbers.len().checked_sub(1)? / 2)?,
        numbers.get(numbers.len() / 2)?,
    );
    Some(f64::midpoint(*low, *high))
}

/// Three digits or all before the point, in groups of three.
fn short(number: f64) -> String {
    if number.abs() < 99.95 {
        let digits = if number.abs() < 9.995 { 2 } else { 1 };
        return format!("{number:.digits$}");
    }
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
