//! The seams: [`Kv`] (ordered bytes with versions), [`Log`] (a durable sequence of records) and the [`Context`] from which
//! time, ids and randomness come; the embedded and in-memory back ends; the typed tables over `Kv`.
//!
//! Knows nothing of HTTP, of the AWS wire or of what a campaign decides. Each seam ships its contract as public test
//! functions ([`kv::contract`], [`log::contract`]) that every back end and every fault wrapper runs. Start at [`kv`] and [`log`].

pub mod backup;
pub mod context;
pub mod dice;
pub mod directory;
mod hex;
pub mod key;
pub mod kv;
pub mod log;
pub mod tables;
pub mod value;

pub use context::{Clock, Context, Ids};
pub use directory::DataDirectory;
pub use key::{Key, Table};
pub use kv::{Batch, Durability, Kv, KvError, Version, Versioned};
pub use log::{Log, LogError, Partition, Position, Record, Shard};
