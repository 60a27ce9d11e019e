//! The command line, as the real program: what it prints, where, and with which exit code.

mod configuration;
mod descriptors;
mod history;
mod migrate;
mod program;
mod prompts;
mod rooms;
mod secrets;
mod serve;
mod server;
mod stop;
mod superuser;
mod terminal;
mod upgrade;
mod words;
