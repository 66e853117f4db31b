//! The program as its users meet it: the real binary, AWS's SDKs, a mail server of somebody else.
//!
//! The tests of `mail_servers.rs` and `boto3.rs` run programs written in Python with the packages aiosmtpd and boto3.
//! `cargo xtask test` fetches those once and says where they are in `COUNTERPOINT_TEST_PYTHONPATH`; without it, python3 must
//! have them by itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::large_futures, reason = "the futures of SDKs are, and tests have room")]

mod boto3;
mod campaigns;
mod commands;
mod mail_servers;
mod own;
mod power;
mod restarts;
mod support;
