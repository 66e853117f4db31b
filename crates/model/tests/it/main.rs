//! The generated types and tables, as seen by the crates that use them.

mod generate;
mod golden;
mod round_trip;
mod table;
