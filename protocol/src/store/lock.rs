//! The lock table: who holds which keys and ranges, and who waits for them.
//!
//! A claim names all that its owner needs and is granted as a whole or waits as a whole, holding nothing. Grants are made
//! in the order of arrival: a claim waits for every conflicting holder and for every conflicting claim that came before.
//! At a worker a claim is judged by wait-die (Rosenkrantz, Stearns and Lewis 1978) when it comes: if any of those in its
//! way is older, it is refused; it waits only for younger ones. So nobody who waits is waited for by an older one, and no
//! cycle can close (R10). In a coordinator's own queue everyone waits, which is free of cycles because a claim is made as a whole.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

use crate::id::Age;
use crate::operation::{Key, Range, Shared, TableId};
use crate::rules::Rules;

/// A part of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// One key, to write: no other claim may have it.
    Write(Key),
    /// One key, to read: others that read may have it too.
    Read(Key),
    /// All keys of a stretch of a table, present or not, to read.
    Range {
        /// The table.
        table: TableId,
        /// The first key; `None` is the table's beginning.
        from: Option<Shared>,
        /// The first key beyond; `None` is the table's end.
        until: Option<Shared>,
    },
    /// Every key of every table, to read.
    Everything,
}

/// Whether a claim may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Always: first come, first served.
    Queue,
    /// For younger ones only.
    WaitDie,
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It holds all of its spans.
    Granted,
    /// It waits, holding nothing, and will come out of [`LockTable::release`].
    Waits,
    /// An older one is in its way.
    Refused {
        /// The age of that one.
        older: Age,
    },
}

/// Claims of owners `O`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockTable<O: Ord> {
    policy: Policy,
    rules: Rules,
    claims: BTreeMap<O, Claim>,
    keys: BTreeMap<Key, KeyLocks<O>>,
    /// Owners whose claim has a range or everything in it: few at any time.
    ranged: BTreeSet<O>,
    /// How many claims wait, and the place that the next one gets; it starts again from 0 when nobody waits.
    waiting: usize,
    next_place: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Claim {
    age: Age,
    spans: Vec<Span>,
    /// Its place among those that wait; `None` when it was granted.
    place: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct KeyLocks<O: Ord> {
    exclusive: Option<O>,
    shared: BTreeSet<O>,
    /// By place: the owner, and whether it wants the key exclusively.
    waiting: BTreeMap<u64, (O, bool)>,
}

impl<O: Ord> KeyLocks<O> {
    const EMPTY: Self = KeyLocks { exclusive: None, shared: BTreeSet::new(), waiting: BTreeMap::new() };

    fn is_empty(&self) -> bool {
        self.exclusive.is_none() && self.shared.is_empty() && self.waiting.is_empty()
    }
}

impl<O: Ord + Copy> LockTable<O> {
    /// An empty table.
    #[must_use]
    pub fn new(policy: Policy, rules: Rules) -> Self {
        LockTable {
            policy,
            rules,
            claims: BTreeMap::new(),
            keys: BTreeMap::new(),
            ranged: BTreeSet::new(),
            waiting: 0,
            next_place: 0,
        }
    }

    /// Claims all of `spans` for an owner that has no claim yet.
    pub fn claim(&mut self, owner: O, age: Age, spans: Vec<Span>) -> Claimed {
        debug_assert!(!self.claims.contains_key(&owner), "an owner has one claim at a time");
        let mut older = None;
        let mut blocked = false;
        self.visit_conflicts(&spans, None, &mut |table, other, waits| {
            blocked = true;
            let other_age = table.claims[&other].age;
            if table.policy == Policy::WaitDie && !table.rules.may_wait_for(other_age, waits, age) {
                older = Some(other_age);
            }
            // In a queue one conflict is enough to wait; wait-die has to see them all until one is older.
            table.policy == Policy::WaitDie && older.is_none()
        });
        if let Some(older) = older {
            return Claimed::Refused { older };
        }
        let place = blocked.then(|| {
            let place = self.next_place;
            self.next_place += 1;
            self.waiting += 1;
            place
        });
        self.enter(owner, &spans, place);
        self.claims.insert(owner, Claim { age, spans, place });
        if blocked { Claimed::Waits } else { Claimed::Granted }
    }

    /// Takes back an owner's claim, held or waiting; appends to `granted` those that are granted by it, in their order of
    /// arrival. Does nothing for an owner without claim.
    pub fn release(&mut self, owner: O, granted: &mut Vec<O>) {
        let Some(claim) = self.claims.remove(&owner) else { return };
        self.ranged.remove(&owner);
        if claim.place.is_some() {
            self.stopped_waiting();
        }
        for span in &claim.spans {
            let (Span::Write(key) | Span::Read(key)) = span else { continue };
            let locks = self.keys.get_mut(key).expect("a claimed key is in the table");
            match claim.place {
                Some(place) => {
                    locks.waiting.remove(&place);
                }
                None if matches!(span, Span::Write(_)) => locks.exclusive = None,
                None => {
                    locks.shared.remove(&owner);
                }
            }
            if locks.is_empty() {
                self.keys.remove(key);
            }
        }
        if self.waiting > 0 {
            self.grant_behind(&claim.spans, granted);
        }
    }

    /// Who holds this key exclusively.
    #[must_use]
    pub fn writer(&self, key: &Key) -> Option<O> {
        self.keys.get(key).and_then(|locks| locks.exclusive)
    }

    /// Who holds keys of this range exclusively, in the order of keys.
    pub fn writers(&self, range: &Range) -> impl Iterator<Item = O> + '_ {
        let bounds = key_bounds(range.table, range.from.as_ref(), range.until.as_ref());
        bounds.into_iter().flat_map(|bounds| self.keys.range(bounds)).filter_map(|(_, locks)| locks.exclusive)
    }

    /// Whether this owner's claim is granted.
    #[must_use]
    pub fn holds(&self, owner: O) -> bool {
        self.claims.get(&owner).is_some_and(|claim| claim.place.is_none())
    }

    /// Owners whose claim is granted.
    pub fn holders(&self) -> impl Iterator<Item = O> + '_ {
        self.claims.iter().filter(|(_, claim)| claim.place.is_none()).map(|(owner, _)| *owner)
    }

    /// How many claims wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many keys and ranges are locked or waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() + self.ranged.len()
    }

    /// Whether nothing is locked or waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    fn stopped_waiting(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 {
            self.next_place = 0;
        }
    }

    fn enter(&mut self, owner: O, spans: &[Span], place: Option<u64>) {
        for span in spans {
            let (key, exclusive) = match span {
                Span::Write(key) => (key, true),
                Span::Read(key) => (key, false),
                Span::Range { .. } | Span::Everything => {
                    self.ranged.insert(owner);
                    continue;
                }
            };
            let locks = self.keys.entry(key.clone()).or_insert(KeyLocks::EMPTY);
            match place {
                Some(place) => {
                    locks.waiting.insert(place, (owner, exclusive));
                }
                None if exclusive => locks.exclusive = Some(owner),
                None => {
                    locks.shared.insert(owner);
                }
            }
        }
    }

    /// Grants those that waited for any of `spans` and whose way is free now.
    fn grant_behind(&mut self, spans: &[Span], granted: &mut Vec<O>) {
        let mut candidates = BTreeMap::new();
        for span in spans {
            match span {
                Span::Write(key) | Span::Read(key) => self.first_waiting(self.keys.get(key), &mut candidates),
                Span::Range { table, from, until } => {
                    if let Some(bounds) = key_bounds(*table, from.as_ref(), until.as_ref()) {
                        self.keys.range(bounds).for_each(|(_, locks)| self.first_waiting(Some(locks), &mut candidates));
                    }
                }
                Span::Everything => self.keys.values().for_each(|locks| self.first_waiting(Some(locks), &mut candidates)),
            }
        }
        for owner in &self.ranged {
            if let Some(place) = self.claims[owner].place {
                candidates.insert(place, *owner);
            }
        }
        for (place, owner) in candidates {
            let mut free = true;
            self.visit_conflicts(&self.claims[&owner].spans, Some(place), &mut |_, _, _| {
                free = false;
                false
            });
            if free {
                let claim = self.claims.get_mut(&owner).expect("a candidate has a claim");
                claim.place = None;
                let spans = claim.spans.clone();
                for span in &spans {
                    if let Span::Write(key) | Span::Read(key) = span {
                        self.keys.get_mut(key).expect("a claimed key is in the table").waiting.remove(&place);
                    }
                }
                self.enter(owner, &spans, None);
                self.stopped_waiting();
                granted.push(owner);
            }
        }
    }

    /// Those at the head of a key's queue: the readers before the first writer, or that writer.
    fn first_waiting(&self, locks: Option<&KeyLocks<O>>, candidates: &mut BTreeMap<u64, O>) {
        for (place, (owner, exclusive)) in locks.into_iter().flat_map(|locks| &locks.waiting) {
            candidates.insert(*place, *owner);
            if *exclusive {
                break;
            }
        }
    }

    /// Shows every claim that is in the way of `spans` to `visit`, with whether it waits itself, until that returns false.
    /// `before` leaves out those that came at that place or later.
    fn visit_conflicts(&self, spans: &[Span], before: Option<u64>, visit: &mut impl FnMut(&Self, O, bool) -> bool) {
        let earlier = |place: u64| before.is_none_or(|before| place < before);
        for span in spans {
            match span {
                Span::Write(key) | Span::Read(key) => {
                    let wants = matches!(span, Span::Write(_));
                    if let Some(locks) = self.keys.get(key)
                        && !Self::visit_key(self, locks, wants, &earlier, visit)
                    {
                        return;
                    }
                    if wants && !self.ranged.is_empty() {
                        for owner in &self.ranged {
                            let claim = &self.claims[owner];
                            let ahead = claim.place.is_none_or(earlier);
                            if ahead
                                && claim.spans.iter().any(|span| span.covers(key))
                                && !visit(self, *owner, claim.place.is_some())
                            {
                                return;
                            }
                        }
                    }
                }
                Span::Range { table, from, until } => {
                    if let Some(bounds) = key_bounds(*table, from.as_ref(), until.as_ref()) {
                        for (_, locks) in self.keys.range(bounds) {
                            if !Self::visit_key(self, locks, false, &earlier, visit) {
                                return;
                            }
                        }
                    }
                }
                Span::Everything => {
                    for locks in self.keys.values() {
                        if !Self::visit_key(self, locks, false, &earlier, visit) {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn visit_key(
        table: &Self,
        locks: &KeyLocks<O>,
        wants_exclusive: bool,
        earlier: &impl Fn(u64) -> bool,
        visit: &mut impl FnMut(&Self, O, bool) -> bool,
    ) -> bool {
        if let Some(owner) = locks.exclusive
            && !visit(table, owner, false)
        {
            return false;
        }
        if wants_exclusive && !locks.shared.iter().all(|owner| visit(table, *owner, false)) {
            return false;
        }
        locks
            .waiting
            .iter()
            .take_while(|(place, _)| earlier(**place))
            .filter(|(_, (_, exclusive))| wants_exclusive || *exclusive)
            .all(|(_, (owner, _))| visit(table, *owner, true))
    }
}

impl Span {
    fn covers(&self, key: &Key) -> bool {
        match self {
            Span::Write(_) | Span::Read(_) => false,
            Span::Range { table, from, until } => {
                *table == key.table
                    && from.as_ref().is_none_or(|from| *from <= key.bytes)
                    && until.as_ref().is_none_or(|until| key.bytes < *until)
            }
            Span::Everything => true,
        }
    }
}

/// The bounds of a stretch of a table in the order of keys; `None` for one that can hold nothing.
pub(crate) fn key_bounds(table: TableId, from: Option<&Shared>, until: Option<&Shared>) -> Option<(Bound<Key>, Bound<Key>)> {
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        return None;
    }
    let key = |table, bytes: &Shared| Key { table, bytes: bytes.clone() };
    let empty = Shared::from(&[][..]);
    let lower = Bound::Included(key(table, from.unwrap_or(&empty)));
    let upper = match (until, table.0.checked_add(1)) {
        (Some(until), _) => Bound::Excluded(key(table, until)),
        (None, Some(next)) => Bound::Excluded(key(TableId(next), &empty)),
        (None, None) => Bound::Unbounded,
    };
    Some((lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Incarnation;
    use alloc::vec;

    fn key(name: &str) -> Key {
        Key::new(TableId(1), name)
    }

    fn age(stamp: u64) -> Age {
        Age { stamp, incarnation: Incarnation(1) }
    }

    fn table(policy: Policy) -> LockTable<u64> {
        LockTable::new(policy, Rules::ALL)
    }

    fn all() -> Span {
        Span::Range { table: TableId(1), from: None, until: None }
    }

    /// Claims with the owner's number as age.
    fn claim(table: &mut LockTable<u64>, owner: u64, spans: Vec<Span>) -> Claimed {
        table.claim(owner, age(owner), spans)
    }

    fn release(table: &mut LockTable<u64>, owner: u64) -> Vec<u64> {
        let mut granted = Vec::new();
        table.release(owner, &mut granted);
        granted
    }

    #[test]
    fn an_older_one_waits_and_a_younger_one_is_refused() {
        let mut table = table(Policy::WaitDie);
        assert_eq!(claim(&mut table, 5, vec![Span::Write(key("a"))]), Claimed::Granted);
        assert_eq!(claim(&mut table, 7, vec![Span::Write(key("a"))]), Claimed::Refused { older: age(5) });
        assert_eq!(claim(&mut table, 3, vec![Span::Write(key("a"))]), Claimed::Waits);
        // 4 is older than the holder, but would wait for 3, which is older still.
        assert_eq!(claim(&mut table, 4, vec![Span::Write(key("a"))]), Claimed::Refused { older: age(3) });
        assert_eq!(claim(&mut table, 2, vec![Span::Write(key("a"))]), Claimed::Waits);
        assert_eq!(release(&mut table, 5), [3]);
        assert_eq!(release(&mut table, 3), [2]);
        assert_eq!(release(&mut table, 2), []);
        assert!(table.is_empty() && table.keys.is_empty());
    }

    #[test]
    fn a_claim_waits_as_a_whole_and_holds_nothing() {
        let mut table = table(Policy::Queue);
        claim(&mut table, 1, vec![Span::Write(key("a"))]);
        assert_eq!(claim(&mut table, 2, vec![Span::Write(key("a")), Span::Write(key("b"))]), Claimed::Waits);
        assert_eq!(table.writer(&key("b")), None);
        // 3 came after 2 and so does not pass it.
        assert_eq!(claim(&mut table, 3, vec![Span::Write(key("b"))]), Claimed::Waits);
        assert_eq!(release(&mut table, 1), [2]);
        assert_eq!(table.writer(&key("b")), Some(2));
        assert_eq!(release(&mut table, 2), [3]);
        assert_eq!(release(&mut table, 3), []);
        assert!(table.is_empty() && table.keys.is_empty() && table.next_place == 0);
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let mut table = table(Policy::Queue);
        assert_eq!(claim(&mut table, 1, vec![Span::Read(key("a"))]), Claimed::Granted);
        assert_eq!(claim(&mut table, 2, vec![Span::Read(key("a"))]), Claimed::Granted);
        assert_eq!(claim(&mut table, 3, vec![Span::Write(key("a"))]), Claimed::Waits);
        assert_eq!(claim(&mut table, 4, vec![Span::Read(key("a"))]), Claimed::Waits);
        assert_eq!(release(&mut table, 1), []);
        assert_eq!(release(&mut table, 2), [3]);
        assert_eq!(release(&mut table, 3), [4]);
    }

    #[test]
    fn a_range_stands_in_the_way_of_what_would_be_inserted_into_it() {
        let mut table = table(Policy::WaitDie);
        assert_eq!(claim(&mut table, 5, vec![Span::Write(key("m"))]), Claimed::Granted);
        assert_eq!(claim(&mut table, 3, vec![all()]), Claimed::Waits);
        assert_eq!(claim(&mut table, 9, vec![Span::Write(key("z"))]), Claimed::Refused { older: age(3) });
        assert_eq!(claim(&mut table, 2, vec![Span::Write(key("z"))]), Claimed::Waits);
        assert_eq!(claim(&mut table, 8, vec![Span::Write(Key::new(TableId(2), "z"))]), Claimed::Granted);
        assert_eq!(release(&mut table, 5), [3]);
        assert_eq!(release(&mut table, 3), [2]);
        release(&mut table, 2);
        release(&mut table, 8);
        assert!(table.is_empty() && table.keys.is_empty() && table.ranged.is_empty());
    }

    #[test]
    fn one_who_gives_up_waiting_frees_those_behind() {
        let mut table = table(Policy::Queue);
        claim(&mut table, 1, vec![Span::Read(key("a"))]);
        claim(&mut table, 2, vec![Span::Write(key("a"))]);
        assert_eq!(claim(&mut table, 3, vec![Span::Read(key("a"))]), Claimed::Waits);
        assert_eq!(release(&mut table, 2), [3]);
    }

    #[test]
    fn everything_waits_for_every_writer() {
        let mut table = table(Policy::Queue);
        claim(&mut table, 1, vec![Span::Write(key("a"))]);
        claim(&mut table, 2, vec![Span::Write(Key::new(TableId(255), "z"))]);
        assert_eq!(claim(&mut table, 3, vec![Span::Everything]), Claimed::Waits);
        assert_eq!(release(&mut table, 1), []);
        assert_eq!(release(&mut table, 2), [3]);
    }
}
