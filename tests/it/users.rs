//! Users: registering, logging in, staying logged in, logging out, and the list of them.

mod access;
mod list;
mod login;
mod logout;
mod parallel;
mod refresh;
mod register;
