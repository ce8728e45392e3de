//! The places for connections. There is a bound on all and one for each address; a connection within both has a regular place.
//! Beyond them there is a reserve: a connection there is answered once, may ask for the probes' paths alone and has little time.
//! So monitoring reaches a process however many other connections there are. When regular places run short, the connections that have
//! been idle for longest lose theirs. In the reserve the oldest makes way that has sent a part of a request, else the oldest that has
//! sent nothing, or the oldest of all when it has had its time: a probe sends its request whole, as soon as it is connected.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::remote::network;
use super::requests::AtHand;

/// Connections in the reserve.
const RESERVE_MAX: usize = 256;

/// Connections of one address in the reserve. With so many, one that comes in a burst has time to send its request before it is the
/// oldest.
const RESERVE_PER_ADDRESS_MAX: usize = 64;

/// A connection that is idle for less is not closed for others: its next request may be on its way.
const IDLE_AT_LEAST: Duration = Duration::from_secs(1);

/// How long a connection in the reserve that has asked for something is left alone.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

/// The pause between two looks for idle connections, since each look goes through all of them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Of so many places, one is freed at a time, and one kept free.
const SPARE: usize = 8;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of all addresses together.
    pub all: usize,
    /// Of one address.
    pub per_address: usize,
    /// Of one address of this machine.
    pub per_loopback: usize,
}

/// What a connection may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything, as often as it likes.
    Regular,
    /// The probes' paths, once.
    Reserve,
}

/// Which bound kept a connection from a regular place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// That on all connections.
    All,
    /// That on the connections of its address.
    Address,
}

/// All places of a server.
pub struct Places {
    bounds: Bounds,
    began: Instant,
    held: Mutex<Held>,
}

/// A connection's place; dropping it gives it up.
pub struct Place {
    places: Arc<Places>,
    number: u64,
    address: IpAddr,
    kind: Kind,
    activity: Arc<Activity>,
}

/// A request that is under way; dropping it says that there is nothing to do any more.
pub struct Busy {
    activity: Arc<Activity>,
    began: Instant,
}

/// What a connection is at.
pub struct Activity {
    /// The millisecond, counted from the server's start, since which there has been nothing to do; [`BUSY`] while there is.
    idle_since: AtomicU64,
    at_hand: Arc<AtHand>,
    leave: Notify,
}

const BUSY: u64 = u64::MAX;

#[derive(Default)]
struct Held {
    next: u64,
    /// In the order in which they came. Those that were asked to leave are not among them.
    by_number: BTreeMap<u64, Holder>,
    by_address: HashMap<IpAddr, Count>,
    all: Count,
}

struct Holder {
    address: IpAddr,
    kind: Kind,
    since: Duration,
    activity: Arc<Activity>,
}

/// How many places are held. Those that leave the regular ones count until they have left.
#[derive(Clone, Copy, Default)]
struct Count {
    regular: usize,
    leaving: usize,
    reserve: usize,
    looked_at: Option<Instant>,
}

impl Bounds {
    fn of(&self, address: IpAddr) -> usize {
        if address.is_loopback() { self.per_loopback.max(self.per_address) } else { self.per_address }
    }
}

impl Places {
    /// No connection is there yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Places { bounds, began: Instant::now(), held: Mutex::default() })
    }

    /// Gives a place to a connection from this address, and says which bound kept it from a regular one. `None` if there is
    /// none in the reserve either.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> (Option<Place>, Option<Bound>) {
        self.take_at(network(address), Instant::now())
    }

    /// Connections that stand, regular ones and those in the reserve.
    pub fn count(&self) -> (usize, usize) {
        let held = self.lock();
        (held.all.regular, held.all.reserve)
    }

    fn take_at(self: &Arc<Self>, address: IpAddr, now: Instant) -> (Option<Place>, Option<Bound>) {
        let mut held = self.lock();
        let of_address = held.by_address.get(&address).copied().unwrap_or_default();
        let address_max = self.bounds.of(address);
        let bound = if held.all.regular >= self.bounds.all {
            Some(Bound::All)
        } else if of_address.regular >= address_max {
            Some(Bound::Address)
        } else {
            None
        };
        let since = now.saturating_duration_since(self.began);
        if is_short(of_address, address_max) {
            held.free_idle(Some(address), address_max / SPARE, since, now);
        } else if is_short(held.all, self.bounds.all) {
            held.free_idle(None, self.bounds.all / SPARE, since, now);
        }
        let kind = if bound.is_some() { Kind::Reserve } else { Kind::Regular };
        if kind == Kind::Reserve && !held.make_room_in_reserve(address, of_address.reserve, since) {
            return (None, bound);
        }
        let idle_since = AtomicU64::new(millis(since));
        let activity = Arc::new(Activity { idle_since, at_hand: Arc::new(AtHand::new()), leave: Notify::new() });
        let number = held.next;
        held.next += 1;
        held.by_number.insert(number, Holder { address, kind, since, activity: Arc::clone(&activity) });
        held.change(address, |count| match kind {
            Kind::Regular => count.regular += 1,
            Kind::Reserve => count.reserve += 1,
        });
        (Some(Place { places: Arc::clone(self), number, address, kind, activity }), bound)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether hardly any of so many places are left, or will be once those that leave have left.
fn is_short(count: Count, max: usize) -> bool {
    count.regular - count.leaving >= max - max / SPARE
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(BUSY - 1)
}

impl Held {
    /// Asks those to leave that have been idle for longest, of this address or of all.
    fn free_idle(&mut self, address: Option<IpAddr>, count: usize, since: Duration, now: Instant) {
        let whole = match address {
            Some(address) => self.by_address.entry(address).or_default(),
            None => &mut self.all,
        };
        if whole.looked_at.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK_EVERY) {
            return;
        }
        whole.looked_at = Some(now);
        let latest = millis(since.saturating_sub(IDLE_AT_LEAST));
        let mut idle: Vec<(u64, u64)> = self
            .by_number
            .iter()
            .filter(|(_, holder)| holder.kind == Kind::Regular && address.is_none_or(|address| holder.address == address))
            .map(|(number, holder)| (holder.activity.idle_since.load(Ordering::Relaxed), *number))
            .filter(|(idle_since, _)| *idle_since < latest)
            .collect();
        idle.sort_unstable();
        for (_, number) in idle.into_iter().take(count.max(1)) {
            if let Some(holder) = self.by_number.remove(&number) {
                self.change(holder.address, |count| count.leaving += 1);
                holder.activity.leave.notify_one();
            }
        }
    }

    /// Makes room for one more in the reserve, if there is none: at the cost of the oldest whose request has come in part, of the oldest
    /// that has sent nothing, or of the oldest that should have its answer by now.
    fn make_room_in_reserve(&mut self, address: IpAddr, of_address: usize, now: Duration) -> bool {
        let among = if of_address >= RESERVE_PER_ADDRESS_MAX {
            Some(address)
        } else if self.all.reserve >= RESERVE_MAX {
            None
        } else {
            return true;
        };
        let in_reserve = self
            .by_number
            .iter()
            .filter(|(_, holder)| holder.kind == Kind::Reserve && among.is_none_or(|address| holder.address == address));
        let idle = |(_, holder): &(&u64, &Holder)| holder.activity.is_idle();
        let begun = in_reserve.clone().filter(idle).find(|(_, holder)| holder.activity.at_hand.is_begun());
        let oldest = in_reserve.clone().next().filter(|(_, holder)| now >= holder.since + ANSWERED_WITHIN);
        let Some((number, _)) = begun.or_else(|| in_reserve.clone().find(idle)).or(oldest) else { return false };
        let number = *number;
        if let Some(holder) = self.by_number.remove(&number) {
            self.change(holder.address, |count| count.reserve -= 1);
            holder.activity.leave.notify_one();
        }
        true
    }

    fn change(&mut self, address: IpAddr, change: impl Fn(&mut Count)) {
        change(&mut self.all);
        let of_address = self.by_address.entry(address).or_default();
        change(of_address);
        if (of_address.regular, of_address.reserve) == (0, 0) {
            self.by_address.remove(&address);
        }
    }
}

impl Place {
    /// What the connection may ask for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the connection is at.
    #[must_use]
    pub fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// A request is under way until what is returned is dropped.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.activity.idle_since.store(BUSY, Ordering::Relaxed);
        Busy { activity: Arc::clone(&self.activity), began: self.places.began }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        let stayed = held.by_number.remove(&self.number).is_some();
        held.change(self.address, |count| match self.kind {
            Kind::Regular => {
                count.regular -= 1;
                count.leaving -= usize::from(!stayed);
            }
            Kind::Reserve => count.reserve -= usize::from(stayed),
        });
    }
}

impl Activity {
    /// Returns when the connection is to leave.
    pub async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// What of a request has come.
    #[must_use]
    pub fn at_hand(&self) -> Arc<AtHand> {
        Arc::clone(&self.at_hand)
    }

    /// Whether no request is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.idle_since.load(Ordering::Relaxed) != BUSY
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.idle_since.store(millis(self.began.elapsed()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { all: 32, per_address: 8, per_loopback: 16 };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Takes places of one kind until there are no more.
    fn fill(places: &Arc<Places>, address: IpAddr, kind: Kind, now: Instant) -> Vec<Place> {
        let took = (0..1000).map(|_| places.take_at(address, now).0);
        took.take_while(|place| place.as_ref().is_some_and(|place| place.kind == kind)).flatten().collect()
    }

    async fn is_asked_to_leave(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(1), place.activity.asked_to_leave()).await.is_ok()
    }

    #[test]
    fn one_address_takes_no_more_than_its_bound_and_gives_it_back() {
        let (places, now) = (Places::new(BOUNDS), Instant::now());
        let one = fill(&places, address(1), Kind::Regular, now);
        assert_eq!(one.len(), 8);
        let (place, bound) = places.take_at(address(1), now);
        assert_eq!((place.unwrap().kind(), bound), (Kind::Reserve, Some(Bound::Address)));
        let local = fill(&places, IpAddr::from([127, 0, 0, 1]), Kind::Regular, now);
        assert_eq!(local.len(), 16);
        let two = fill(&places, address(2), Kind::Regular, now);
        assert_eq!(two.len(), 8, "until there are no more of all");
        assert_eq!(places.take_at(address(3), now).1, Some(Bound::All));
        drop((one, local, two));
        assert_eq!(places.count(), (0, 0));
        assert!(places.lock().by_address.is_empty() && places.lock().by_number.is_empty());
        assert_eq!(fill(&places, address(1), Kind::Regular, now).len(), 8);
    }

    #[tokio::test]
    async fn those_who_are_idle_for_longest_make_way_when_places_run_short() {
        let (places, begun) = (Places::new(BOUNDS), Instant::now());
        let busy = places.take_at(address(1), begun).0.unwrap();
        let _request = busy.busy();
        let mut others = Vec::new();
        for second in 1..=6 {
            others.push(places.take_at(address(1), begun + Duration::from_secs(second)).0.unwrap());
        }
        let fresh = places.take_at(address(1), begun + Duration::from_secs(7)).0.unwrap();
        assert_eq!(fresh.kind(), Kind::Regular);
        assert!(!is_asked_to_leave(&busy).await, "a request is under way there");
        assert!(is_asked_to_leave(&others[0]).await, "it has been idle for longest");
        assert!(!is_asked_to_leave(&others[1]).await, "one is enough");
        drop(others.remove(0));
        assert_eq!(places.take_at(address(1), begun + Duration::from_secs(7)).1, None, "there is a place again");
    }

    #[tokio::test]
    async fn nobody_is_closed_who_came_a_moment_ago() {
        let (places, now) = (Places::new(BOUNDS), Instant::now());
        let held = fill(&places, address(1), Kind::Regular, now + Duration::from_millis(900));
        let _one_more = places.take_at(address(1), now + Duration::from_millis(1_800));
        for place in &held {
            assert!(!is_asked_to_leave(place).await);
        }
    }

    #[tokio::test]
    async fn whoever_asks_finds_a_place_in_a_reserve_that_silent_ones_fill() {
        let (places, now) = (Places::new(Bounds { all: 1, per_address: 1, per_loopback: 1 }), Instant::now());
        let _regular = places.take_at(address(0), now);
        let mut silent: Vec<Place> = (0..RESERVE_PER_ADDRESS_MAX).map(|_| places.take_at(address(1), now).0.unwrap()).collect();
        let newest = places.take_at(address(1), now).0.unwrap();
        assert!(is_asked_to_leave(&silent[0]).await, "the oldest of the same address");
        for other in 2.. {
            if silent.len() == RESERVE_MAX {
                break;
            }
            silent.push(places.take_at(address(other), now).0.unwrap());
        }
        let probe = places.take_at(address(100), now).0.unwrap();
        assert!(is_asked_to_leave(&silent[1]).await, "the oldest of all");
        assert_eq!(places.count(), (1, RESERVE_MAX));
        drop((newest, probe, silent));
        assert_eq!(places.count(), (1, 0));
        // Where all have asked for something, the next one gets nothing for a moment.
        let asking: Vec<(Place, Busy)> = (0..RESERVE_MAX)
            .map(|number| places.take_at(address(number as u8), now).0.unwrap())
            .map(|place| {
                let busy = place.busy();
                (place, busy)
            })
            .collect();
        assert!(places.take_at(address(200), now).0.is_none());
        let _late = places.take_at(address(200), now + ANSWERED_WITHIN).0.unwrap();
        assert!(is_asked_to_leave(&asking[0].0).await, "it has had its time");
    }

    #[tokio::test]
    async fn half_requests_make_way_in_the_reserve_before_those_that_have_sent_nothing() {
        let (places, now) = (Places::new(Bounds { all: 1, per_address: 1, per_loopback: 1 }), Instant::now());
        let _regular = places.take_at(address(0), now);
        let probe = places.take_at(address(1), now).0.unwrap();
        let mut halves: Vec<Place> = Vec::new();
        for number in 0..10 * RESERVE_PER_ADDRESS_MAX {
            let half = places.take_at(address(1), now).0.unwrap();
            half.activity.at_hand().note_begun(true);
            assert!(!is_asked_to_leave(&probe).await, "after {number} half requests");
            halves.push(half);
        }
        assert!(is_asked_to_leave(&halves[0]).await, "the oldest half request");
    }
}
