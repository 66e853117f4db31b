mod jobs;
mod simulation;
