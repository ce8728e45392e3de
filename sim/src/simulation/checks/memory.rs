//! Memory is bounded: what workers remember of decisions is forgotten once nobody will ask for it (R7), and the log keeps no
//! more of it than the memory does. At rest nothing is remembered at all.

use super::Violation;

/// Decisions that a worker may remember at rest.
const REMEMBERED_MAX: usize = 0;

pub(crate) fn check(name: &str, remembered: usize, remembered_in_log: Option<usize>) -> Result<(), Violation> {
    let most = remembered.max(remembered_in_log.unwrap_or(0));
    if most > REMEMBERED_MAX {
        return Err(Violation::new("memory", format!("{name} still remembers {most} decisions at rest")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_forgotten_is_found() {
        assert_eq!(check("w1", 0, Some(0)), Ok(()));
        assert_eq!(check("w1", 1, None).unwrap_err().property, "memory");
        assert_eq!(check("w1", 0, Some(1)).unwrap_err().property, "memory");
    }
}
