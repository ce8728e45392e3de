/** For tests: a cluster of three workers that is well, and the parts of which others are made. */
import type { ClusterLearner, ClusterMember, ClusterStatus, OtherWorker } from "../api/client.ts";

/** The worker with this number is at the port of the same. */
export const addressOf = (number: number) => `127.0.0.1:700${number}`;

export function memberOf(number: number, change: Partial<ClusterMember> = {}): ClusterMember {
  const node = `000${number}`.repeat(8);
  return { node, address: addressOf(number), connected: true, full: false, records: 500, bytes: 90_000, digest: "00", ...change };
}

export function learnerOf(number: number, change: Partial<ClusterLearner> = {}): ClusterLearner {
  const { node, address } = memberOf(number);
  return { node, address, connected: true, donor: memberOf(1).node, records_copied: 125, records_total: 500, ...change };
}

export function otherOf(number: number, state: OtherWorker["state"]): OtherWorker {
  const silent = state === "silent";
  return { node: silent ? null : memberOf(number).node, address: addressOf(number), connected: !silent, state };
}

export const well: ClusterStatus = {
  cluster: "c1",
  view: 3,
  pending_view: null,
  serving: true,
  full: false,
  durability: "memory",
  copies: 3,
  started_empty_in_view: null,
  curtailed_in_view: null,
  roster: [1, 2, 3].map(addressOf),
  members: [memberOf(1), memberOf(2), memberOf(3)],
  learners: [],
  others: [],
  replicas_agree: true,
  comparison: { compared: 0, differences: 0, repaired: 0, undecided: false, distrusted: [] },
  in_flight: 0,
  in_doubt: 0,
  queued: 0,
  reads: 0,
};

/** The same after the third worker has been lost. */
export const lost: ClusterStatus = { ...well, view: 4, copies: 2, members: [memberOf(1), memberOf(2)] };
