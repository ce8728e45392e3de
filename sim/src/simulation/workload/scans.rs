//! Scans of any table: all of it or a part, up or down, cut short or not, of both kinds.

use skein_protocol::operation::{Query, Range, Shared};

use super::TABLES;
use crate::simulation::client::any_consistency;
use crate::simulation::oracle::Ask;
use crate::simulation::random::Random;

pub(super) fn next(random: &mut Random) -> Ask {
    let bound = |random: &mut Random| {
        let text = [random.pick(b"aelr"), random.pick(b"0123")];
        random.chance(300).then(|| Shared::from(&text[..]))
    };
    let (from, until) = (bound(random), bound(random));
    let rows_max = random.pick(&[1, 4, 1_000]);
    let range = Range { table: random.pick(&TABLES), from, until, descending: random.chance(500), rows_max };
    Ask::Read(Query::Range(range), any_consistency(random))
}
