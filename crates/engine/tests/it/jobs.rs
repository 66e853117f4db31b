//! Import and export jobs over stores in memory and objects in a directory.

mod exports;
mod imports;
mod restarts;
pub(crate) mod world;
