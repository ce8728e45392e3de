//! Lets a machine take an input and turns a panic into a value. The machines assert their invariants; for a checker an
//! assertion that fails is a finding with a trace, not the end of the search, and is not printed each time it is met.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use skein_protocol::step::{Input, Machine, Output};

thread_local! {
    static HANDLING: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// What the machine wants done, or what it said when it panicked.
pub fn handle(machine: &mut impl Machine, input: Input) -> Result<Vec<Output>, String> {
    HOOK.call_once(keep_quiet);
    let mut outputs = Vec::new();
    HANDLING.set(true);
    let taken = panic::catch_unwind(AssertUnwindSafe(|| machine.handle(input, &mut outputs)));
    HANDLING.set(false);
    taken.map(|()| outputs).map_err(|payload| message(&*payload))
}

fn keep_quiet() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !HANDLING.get() {
            print(info);
        }
    }));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Brittle;

    impl Machine for Brittle {
        fn handle(&mut self, input: Input, _: &mut Vec<Output>) {
            assert_eq!(input, Input::Start, "only the start is borne");
        }
    }

    #[test]
    fn a_panic_becomes_what_it_said() {
        assert_eq!(handle(&mut Brittle, Input::Start), Ok(Vec::new()));
        let said = handle(&mut Brittle, Input::Persisted { records: 1 }).unwrap_err();
        assert!(said.contains("only the start is borne"), "{said}");
    }
}
