//! What faults have left behind goes away: once they have ended the cluster serves again within a bound, and when nothing is
//! asked any more nothing is prepared, locked or waited for, and nobody waits for an answer (R10, R11).

use skein_protocol::step::WorkerStatus;

use super::Violation;

/// What is left when nothing should be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Left<'a> {
    /// The members of the active view.
    pub(crate) workers: Vec<(&'a str, WorkerStatus)>,
    /// Of each coordinator: what is in flight, queued, in doubt, or read.
    pub(crate) coordinators: Vec<(&'a str, [u64; 4])>,
    /// Calls without an answer, of coordinators that live.
    pub(crate) calls: usize,
}

pub(crate) fn check(left: &Left) -> Result<(), Violation> {
    let broken = |detail: String| Err(Violation::new("healing", detail));
    for (name, status) in &left.workers {
        if !status.active || [status.prepared, status.waiting, status.reads_waiting, status.locks] != [0; 4] {
            return broken(format!("at {name} something is left: {status:?}"));
        }
    }
    for (name, counts) in &left.coordinators {
        if *counts != [0; 4] {
            return broken(format!("at {name} are left in flight, queued, in doubt, read: {counts:?}"));
        }
    }
    if left.calls > 0 {
        return broken(format!("{} calls were never answered", left.calls));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{NodeId, ViewNumber};
    use skein_protocol::operation::Digest;

    fn status() -> WorkerStatus {
        WorkerStatus {
            node: NodeId(1),
            cluster: None,
            view: ViewNumber(1),
            active: true,
            digest: Digest::default(),
            memory_bytes: 0,
            full: false,
            prepared: 0,
            oldest_prepared: None,
            waiting: 0,
            reads_waiting: 0,
            remembered: 0,
            locks: 0,
            standing: None,
            damaged: 0,
            salvaged: false,
        }
    }

    #[test]
    fn whatever_is_left_is_found() {
        let at_rest = Left { workers: vec![("w1", status())], coordinators: vec![("c", [0; 4])], calls: 0 };
        assert_eq!(check(&at_rest), Ok(()));
        let of_worker = [
            WorkerStatus { prepared: 1, ..status() },
            WorkerStatus { waiting: 1, ..status() },
            WorkerStatus { reads_waiting: 1, ..status() },
            WorkerStatus { locks: 1, ..status() },
            WorkerStatus { active: false, ..status() },
        ];
        for status in of_worker {
            assert_eq!(check(&Left { workers: vec![("w1", status)], ..at_rest.clone() }).unwrap_err().property, "healing");
        }
        assert!(check(&Left { coordinators: vec![("c", [0, 0, 0, 1])], ..at_rest.clone() }).is_err());
        assert!(check(&Left { calls: 1, ..at_rest }).is_err());
    }
}
