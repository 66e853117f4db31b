//! Project tasks: `cargo xtask <task>`. One file per task.

#![expect(clippy::print_stderr, reason = "a command-line tool")]

mod codegen;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Print the wire types of the AWS services into crates/model
    Codegen {
        /// Change nothing; fail if what is committed is not what would be printed
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Codegen { check } => codegen::run(check),
    }
}
