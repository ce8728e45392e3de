//! Two-phase commit (Gray 1978; presumed nothing). The transaction is committed as soon as every participant has it
//! prepared and synced, whoever knows of it; so the outcome can be derived from the participants alone, and the coordinator
//! keeps no log.

pub mod coordinator;
pub mod outcome;
pub mod participant;
pub mod window;
