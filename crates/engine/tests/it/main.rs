//! The engine on its own: the simulated world, and jobs over stores in memory.

mod jobs;
mod simulation;
