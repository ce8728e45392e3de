//! A small world, every interleaving of which is explored: one control store, one coordinator that may die and come back as
//! a new run, workers with disks, the connections between them, clients. The coordinator and the workers are the machines of
//! `skein-protocol` themselves, so there is no second text that could differ from the first.
//!
//! [`world`] is the state, [`action`] what may happen next, [`effect`] what that does, [`driver`] performs what the machines want done, as the processes
//! would. [`property`] holds the promises; [`scenario`] and [`worlds`] the sizes and bounds; [`search`] runs the checker.

pub mod action;
pub mod client;
pub mod disk;
pub mod driver;
pub mod effect;
pub mod history;
pub mod network;
pub mod property;
pub mod reader;
pub mod scenario;
pub mod search;
pub mod sight;
pub mod without;
pub mod world;
pub mod worlds;

use skein_protocol::membership::view::ViewRecord;
use stateright::{Model, Property};

use action::Action;
use scenario::Scenario;
use world::World;

/// A scenario as the checker explores it.
#[derive(Clone, Debug)]
pub struct ClusterModel {
    /// Its sizes and bounds.
    pub scenario: Scenario,
}

impl Model for ClusterModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::start(&self.scenario)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(&self.scenario, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.apply(&self.scenario, &action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties: Vec<_> = property::ALL.iter().map(|promise| Property::always(promise.name, promise.keeps)).collect();
        properties.extend(self.scenario.sights.iter().map(|sight| Property::sometimes(sight.name(), sight.seen())));
        properties
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.store.as_ref().map_or(0, |record: &ViewRecord| record.number().0) <= self.scenario.views
    }
}
