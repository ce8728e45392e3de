/**
 * The workers of a cluster as one list: those that it is meant to have in their order, each in its place whatever part it
 * plays, so that a worker that goes, comes back and learns does so before the reader's eyes and moves nothing else.
 */
import type { ClusterLearner, ClusterMember, ClusterStatus, OtherWorker } from "../api/client.ts";

export type ClusterWorker = MemberWorker | LearnerWorker | AbsentWorker;

interface Worker {
  /** The same as long as the worker has this address, and no other worker's. */
  readonly key: string;
  readonly address: string;
  readonly tone: "good" | "warn" | "bad";
  /** What it is at the moment, in a few words. */
  readonly state: string;
}

export interface MemberWorker extends Worker {
  readonly part: "member";
  readonly member: ClusterMember;
}

export interface LearnerWorker extends Worker {
  readonly part: "learner";
  readonly copying: Copying;
}

/** How far a learner is. */
export interface Copying {
  readonly label: string;
  readonly text: string;
  readonly value: number;
  readonly max: number;
}

export interface AbsentWorker extends Worker {
  readonly part: "other";
  /** What becomes of it. */
  readonly prospect: string;
}

type Unplaced<W> = W extends Worker ? Omit<W, "key"> : never;

export function workersOf(status: ClusterStatus): ClusterWorker[] {
  const distrusted = new Set(status.comparison.distrusted.map(({ node }) => node));
  // Of several at one address, such as a member and whoever stands in its place by now, the member comes first.
  const all: Unplaced<ClusterWorker>[] = [
    ...status.members.map((member) => memberWorker(member, distrusted.has(member.node))),
    ...status.learners.map((learner) => learnerWorker(learner, distrusted.has(learner.node), status.members)),
    ...status.others.map(absentWorker),
  ];
  const place = ({ address }: { address: string }) => {
    const index = status.roster.indexOf(address);
    return index === -1 ? status.roster.length : index;
  };
  all.sort((one, other) => place(one) - place(other) || collator.compare(one.address, other.address));
  const seen = new Map<string, number>();
  return all.map((worker) => {
    const before = seen.get(worker.address) ?? 0;
    seen.set(worker.address, before + 1);
    return { ...worker, key: `${worker.address} ${before}` };
  });
}

const collator = new Intl.Collator(undefined, { numeric: true });

function memberWorker(member: ClusterMember, distrusted: boolean): Unplaced<MemberWorker> {
  const { address, connected } = member;
  const more = [...(connected ? [] : ["not connected"]), ...(distrusted ? ["not trusted"] : [])];
  return { part: "member", address, tone: more.length === 0 ? "good" : "bad", state: ["member", ...more].join(", "), member };
}

function learnerWorker(learner: ClusterLearner, distrusted: boolean, members: ClusterMember[]): Unplaced<LearnerWorker> {
  const { address, connected } = learner;
  const more = [...(connected ? [] : ["not connected"]), ...(distrusted ? ["being made anew"] : [])];
  const state = ["learner", ...more].join(", ");
  return { part: "learner", address, tone: connected ? "warn" : "bad", state, copying: copyingOf(learner, members) };
}

function copyingOf({ donor, records_copied: value, records_total: max }: ClusterLearner, members: ClusterMember[]): Copying {
  if (donor == null) return { label: "Waiting for a member to copy from", text: "no records yet", value: 0, max: 0 };
  const from = members.find(({ node }) => node === donor)?.address;
  const label = from === undefined ? "Copying" : `Copying from ${from}`;
  if (max === 0) return { label, text: "no records yet", value, max };
  // Records that are deleted meanwhile may have been copied before.
  const copied = Math.min(value, max);
  return { label, text: `${copied.toLocaleString()} of ${recordsText(max)}`, value: copied, max };
}

function recordsText(count: number): string {
  return count === 1 ? "1 record" : `${count.toLocaleString()} records`;
}

function absentWorker({ address, state }: OtherWorker): Unplaced<AbsentWorker> {
  switch (state) {
    case "silent":
      return {
        part: "other",
        address,
        tone: "bad",
        state: "nobody answers",
        prospect: "The cluster is meant to have a worker here. Whoever answers is taken in.",
      };
    case "waiting":
      return {
        part: "other",
        address,
        tone: "warn",
        state: "waits to be taken in",
        prospect: "It answers, and is taken in soon; after some seconds if it was lost again and again.",
      };
    case "foreign":
      return {
        part: "other",
        address,
        tone: "bad",
        state: "not taken in",
        prospect: "It belongs to another cluster, or is not one of the workers that this cluster is meant to have.",
      };
  }
}
