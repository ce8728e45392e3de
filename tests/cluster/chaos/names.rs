//! What the coordinator calls its workers. A start of it may call a worker otherwise than the start before did: by `localhost`, by
//! another address of loopback, by another port of its proxy. The old port is closed then, or still leads to the same worker. A
//! worker is known by each name that it ever had, since the cluster may go on to call it by any of them.

use std::net::{Ipv4Addr, SocketAddr};

use skein_sim::simulation::random::Random;

use crate::harness::cluster::{Cluster, free_port};

/// Another address of this machine.
const OTHER_LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The names that the workers have had.
pub struct Names {
    all: Vec<Vec<String>>,
    random: Random,
    /// Whether they change at all.
    change: bool,
    changed: usize,
}

impl Names {
    pub fn new(cluster: &Cluster, seed: u64, change: bool) -> Self {
        let all = (0..cluster.plan.workers).map(|index| vec![cluster.seen_address(index).to_owned()]).collect();
        Names { all, random: Random::new(seed).sub("names"), change, changed: 0 }
    }

    /// Which worker has, or had, this name.
    pub fn worker(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|names| names.iter().any(|had| had == name))
    }

    /// How often a worker got another name.
    pub fn changed(&self) -> usize {
        self.changed
    }

    /// What the next start of the coordinator calls the workers.
    pub fn draw(&mut self, cluster: &mut Cluster) {
        for index in 0..self.all.len() {
            if !self.change || self.random.chance(500) {
                continue;
            }
            let name = match self.random.below(3) {
                0 => {
                    let door = cluster.proxy(index).address();
                    let port = if door.ip() == Ipv4Addr::LOCALHOST {
                        door.port()
                    } else {
                        self.open(cluster, index, Ipv4Addr::LOCALHOST).port()
                    };
                    format!("localhost:{port}")
                }
                1 => self.open(cluster, index, OTHER_LOOPBACK).to_string(),
                _ => self.open(cluster, index, Ipv4Addr::LOCALHOST).to_string(),
            };
            cluster.rename_worker(index, name.clone());
            if !self.all[index].contains(&name) {
                self.all[index].push(name);
            }
            self.changed += 1;
        }
    }

    fn open(&mut self, cluster: &mut Cluster, index: usize, ip: Ipv4Addr) -> SocketAddr {
        let address = SocketAddr::from((ip, free_port()));
        let proxy = cluster.proxy_mut(index);
        proxy.open(address);
        if self.random.chance(500) {
            proxy.close_others();
        }
        address
    }
}
