//! Serving HTTP/1.1 to strangers, for the coordinator and the worker. This is what both share: the bounds on connections, of all and
//! of one address ([`places`]), the division of a connection's bytes into requests ([`requests`]), the bound on slow readers
//! ([`patient`]), the rules for heads ([`head`], [`syntax`]), and the loop that accepts connections and serves them ([`server`]). The caller
//! answers the requests.

pub mod head;
pub mod places;
pub mod remote;
pub mod server;

mod patient;
mod requests;
mod syntax;

#[cfg(test)]
mod tests;
