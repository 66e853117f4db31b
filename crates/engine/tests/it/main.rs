//! The engine on its own: the simulated world, and jobs and queues over stores in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apps;
mod jobs;
mod queues;
mod retention;
mod simulation;
mod watched;
mod world;
