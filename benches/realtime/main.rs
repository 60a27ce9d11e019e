//! The benchmark: the server beside a bare epoll broadcaster and a bare SQLite loop, on the same
//! machine in the same run.
//!
//! `cargo bench --bench realtime` runs it; `-- --help` says with what. The server is the real
//! program in a process of its own; so is the load generator (`load.rs`), so that its time is not
//! the server's. Whatever arrives is checked (`track.rs`): a delivery that is lost, doubled or out
//! of order ends the benchmark with an error, a target that is not met does not.
//!
//! Without `--bench`, which is how `cargo test` runs it, everything runs once and small, to see
//! that it works.

mod broadcaster;
mod connection;
mod fleet;
mod histogram;
mod http;
mod load;
mod plan;
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;
mod process;
mod report;
mod rest;
mod scenario;
mod size;
mod sqlite;
mod track;
mod usage;
mod wire;

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};

use report::Measured;
use scenario::{ALL, Scenario};
use size::Size;

/// A run goes on or it does not: nobody looks at the kind of an error.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Percent of the machine that other processes may have before the figures are doubtful.
const QUIET: f64 = 10.0;
/// Files that a process needs besides its sockets.
const OTHER_FILES: u64 = 200;

/// Measures the server beside a bare epoll broadcaster and a bare SQLite loop.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench realtime --")]
struct Options {
    /// How often each scenario is measured; the table shows medians.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where the figures of all runs go, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The scenarios to measure.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Sockets of the largest rooms, instead of 10,000.
    #[arg(long, value_name = "N")]
    sockets: Option<usize>,
    /// Names the scenarios.
    #[arg(long)]
    list: bool,
    /// A target that is not met is an error too.
    #[arg(long)]
    strict: bool,
    /// What cargo says.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [process::ROLE, "load"] => generate(),
        [process::ROLE, "broadcaster"] => broadcaster::run(false).map(|()| true),
        [process::ROLE, "faulty"] => broadcaster::run(true).map(|()| true),
        _ if arguments.iter().any(|argument| argument == "--bench") => measure(&Options::parse()),
        _ => try_out(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("realtime: {err}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<bool> {
    let plan = serde_json::from_reader(io::stdin())?;
    serde_json::to_writer(io::stdout(), &load::run(&plan)?)?;
    Ok(true)
}

/// Measures; whether all is well.
fn measure(options: &Options) -> Result<bool> {
    if options.list {
        for Scenario { name, about, .. } in ALL {
            println!("{name:16}{about}");
        }
        return Ok(true);
    }
    let chosen = chosen(&options.only)?;
    let size = sized(options.sockets)?;
    let mut runs: Vec<Measured> = Vec::new();
    let mut failed = Vec::new();
    for run in 1..=options.runs {
        for scenario in &chosen {
            eprintln!("{}: run {run} of {}", scenario.name, options.runs);
            match scenario.run(&size) {
                Ok(measured) => {
                    let faults = measured.faults();
                    if faults.any() {
                        failed.push(format!("{}, run {run}: {faults:?}", scenario.name));
                    }
                    runs.push(measured);
                }
                Err(err) => failed.push(format!("{}, run {run}: {err}", scenario.name)),
            }
        }
    }
    let (table, all_met) = report::table(&runs);
    println!("{}\n\n{table}\n", report::place());
    if let Some(path) = &options.json {
        let document = report::document(&size, &runs, &failed);
        fs::write(path, format!("{document:#}\n"))?;
    }
    let checked: u64 = runs.iter().map(Measured::checked).sum();
    println!("{checked} deliveries checked");
    let local = runs.iter().filter(|run| run.scenario != "rooms-postgres");
    let others = report::others(local);
    if others > QUIET {
        println!("CAUTION: other processes had up to {others:.0} % of this machine meanwhile");
    }
    for failure in &failed {
        println!("FAILED: {failure}");
    }
    if failed.is_empty() {
        println!("none lost, none doubled, none out of order, all observers agree");
    }
    Ok(failed.is_empty() && (all_met || !options.strict))
}

/// The scenarios of these names, or all; without PostgreSQL's if the caller does without it.
fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if let Some(name) = names
        .iter()
        .find(|name| ALL.iter().all(|s| s.name != **name))
    {
        return Err(format!("no scenario is called {name}; --list names them").into());
    }
    let wanted =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|n| n == scenario.name);
    let possible = |scenario: &&Scenario| !scenario.postgres || postgres::available(scenario.name);
    Ok(ALL.iter().filter(wanted).filter(possible).collect())
}

/// The full size, with as many sockets as the caller wants, if the system lets a process have them.
fn sized(sockets: Option<usize>) -> Result<Size> {
    let mut size = Size::FULL;
    if let Some(sockets) = sockets {
        size.multitude = sockets.max(2);
        size.crowd = size.crowd.min(size.multitude);
    }
    // Children have the same limit.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let needed = size.multitude as u64 + OTHER_FILES;
    if limit.maximum.is_some_and(|most| most < needed) {
        let text = "so many sockets need a higher limit of open files";
        return Err(format!("{text}: ulimit -Hn {needed}, or fewer --sockets").into());
    }
    Ok(size)
}

/// Runs every scenario that needs no PostgreSQL once and small. The arguments are a test runner's:
/// what is not understood is none of ours.
fn try_out(arguments: &[String]) -> Result<bool> {
    if arguments.iter().any(|argument| argument == "--list") {
        println!("realtime: test");
        return Ok(true);
    }
    let mut filters = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'));
    if arguments.iter().any(|argument| argument == "--ignored")
        || filters.clone().next().is_some()
            && !filters.any(|filter| "realtime".contains(filter.as_str()))
    {
        return Ok(true);
    }
    let mut checked = 0;
    for scenario in ALL.iter().filter(|scenario| !scenario.postgres) {
        let measured = scenario.run(&Size::SMALL);
        let measured = measured.map_err(|err| format!("{}: {err}", scenario.name))?;
        if measured.faults().any() {
            return Err(format!("{}: {:?}", scenario.name, measured.faults()).into());
        }
        checked += measured.checked();
    }
    let found = scenario::faults_of_a_faulty_one()?;
    if found.lost != 1 || found.doubled != 1 || found.disordered == 0 || found.differing < 2 {
        return Err(format!("of a lost, a doubled and two swapped messages: {found:?}").into());
    }
    println!("realtime: every scenario small, {checked} deliveries checked ... ok");
    Ok(true)
}
