//! The tests that come in by the front door: REST, sockets, the command line, on both databases.

#[macro_use]
mod harness;

mod cli;
mod cluster;
mod durability;
mod golden;
mod input;
mod invariants;
mod messages;
mod rooms;
mod socket;
mod tidy;
mod users;
mod web;
