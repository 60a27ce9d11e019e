//! The bus: tells the listeners of a room what happens in it. It may lose an event; the store,
//! from which listeners catch up by `seq`, does not.

mod hub;

pub use hub::{Attachment, Hub, Live};
