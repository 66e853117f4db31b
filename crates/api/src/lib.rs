//! api

pub mod policy;
pub mod secrets;
pub mod sigv4;
