//! Project tasks: `cargo xtask <task>`. One file per task.

#![expect(clippy::print_stderr, reason = "a command-line tool")]

mod bench;
mod codegen;
mod demo;
mod peers;
mod samples;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the server and show it at work with sample data
    Demo {
        /// Passed on to the demo; after `--` where they begin with a hyphen
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run everything that CI runs, in its order, up to the first failure
    Test {
        /// Run the tests only: no lints, no checks of generated files, no documentation
        #[arg(long)]
        quick: bool,
    },
    /// Check the rules of the project that no compiler knows
    Tidy,
    /// Measure a release build on this machine
    Bench {
        measurement: bench::Measurement,
        /// Passed on to the measurement
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Print the wire types of the AWS services into crates/model
    Codegen {
        /// Change nothing; fail if what is committed is not what would be printed
        #[arg(long)]
        check: bool,
    },
    /// Write the sample data: 10,000 people as files to import
    Samples {
        /// Change nothing; fail if what is committed is not what would be written
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        // One line, also where backtraces are wanted: a task that fails has told why, and where in it is no help.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Demo { arguments } => demo::run(&arguments),
        Task::Test { quick } => test::run(quick),
        Task::Tidy => tidy::run(),
        Task::Bench { measurement, arguments } => bench::run(measurement, &arguments),
        Task::Codegen { check } => codegen::run(check),
        Task::Samples { check } => samples::run(check),
    }
}
