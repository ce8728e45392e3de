//! Serving HTTP/1.1 to strangers, for the coordinator's surface and the worker's. What is the same for both is here: how many
//! connections there may be and of whom ([`places`]), what a connection may keep from the server ([`requests`], [`patient`]),
//! what a head of a request must look like ([`head`]), and the loop that accepts and serves ([`server`]). What is answered is
//! the caller's business.

pub mod head;
pub mod peer;
pub mod places;
pub mod server;

mod patient;
mod requests;

#[cfg(test)]
mod tests;
