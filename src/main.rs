//! The program: understand the command line, start the log, run the command, tell what went wrong.

use std::env;
use std::process::ExitCode;

use chatroom::cli::{Cli, Exit, Result};
use tokio::runtime::Builder;

/// Many small allocations on many threads is what it is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

fn run() -> Result<()> {
    let cli = Cli::parse(env::args_os())?;
    let config = cli.start()?;
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Exit::Failed.saying(format!("cannot start the runtime: {error}")))?;
    let done = runtime.block_on(cli.run(&config));
    // A thread may still wait at a prompt that was given up.
    runtime.shutdown_background();
    done
}
