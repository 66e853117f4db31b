//! The engine on its own: the simulated world, and jobs and queues over stores in memory.

mod apps;
mod jobs;
mod queues;
mod simulation;
mod watched;
