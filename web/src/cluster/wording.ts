/** What the numbers of a cluster mean, in words. */
import type { ClusterStatus } from "../api/client.ts";

export interface Summary {
  readonly tone: "good" | "warn" | "bad" | "unknown";
  readonly text: string;
}

/** The worst that is to be said comes first. */
export function summaryOf(status: ClusterStatus): Summary {
  if (needsPerson(status)) return { tone: "bad", text: "The replicas differ, and a person has to decide." };
  if (status.replicas_agree === false) return { tone: "bad", text: "The replicas differ." };
  const gone = status.members.filter(({ connected }) => !connected).length;
  if (!status.serving) return { tone: "warn", text: notServingText(status, gone) };
  if (status.full) {
    return { tone: "warn", text: "The store is full: new posts are refused. Reading, deleting and logging in go on." };
  }
  if (status.in_doubt > 0) {
    const noun = status.in_doubt === 1 ? "transaction is" : "transactions are";
    return { tone: "warn", text: `Serving writes; ${status.in_doubt} ${noun} in doubt.` };
  }
  if (gone > 0) return { tone: "warn", text: `Serving, with ${gone} of ${status.members.length} members out of reach.` };
  const [missing, learning, others] = [missingCopies(status), status.learners.length, status.others.length];
  if (missing > 0 || learning > 0) {
    const copies = `with ${status.members.length} of ${status.members.length + Math.max(missing, learning)} copies`;
    if (learning === 0) return { tone: "warn", text: `Serving writes, ${copies}.` };
    return { tone: "warn", text: `Serving writes, ${copies}; ${learning} more to come.` };
  }
  if (status.comparison.distrusted.length > 0) {
    return { tone: "warn", text: "Serving writes; a copy is not trusted." };
  }
  if (others > 0) return { tone: "warn", text: `Serving writes; ${othersText(others)}.` };
  return { tone: "good", text: "Serving writes." };
}

/** Replaces all that `summaryOf` says once that can't be known any more. */
export function withdrawnSummary(asOf: string): Summary {
  return { tone: "unknown", text: `Not known since ${asOf}.` };
}

function notServingText({ pending_view, members }: ClusterStatus, gone: number): string {
  if (members.length > 0 && gone === members.length) {
    return "Not serving: no member can be reached. Any one of them that is back with its records is enough.";
  }
  return pending_view === null ? "Not serving writes." : `Changing to view ${pending_view}.`;
}

function othersText(count: number): string {
  return count === 1 ? "1 worker is not taken in" : `${count} workers are not taken in`;
}

/** How many copies there are fewer than there are meant to be. */
function missingCopies({ roster, members }: ClusterStatus): number {
  return Math.max(roster.length - members.length, 0);
}

export function copiesText(status: ClusterStatus): string {
  const gone = status.members.filter(({ connected }) => !connected).length;
  if (gone > 0) return gone === status.members.length ? "None can be reached." : `${gone} cannot be reached.`;
  return missingCopies(status) === 0 ? "One on each member." : `Meant to be ${status.roster.length}.`;
}

/** Digests that have become equal since the last comparison say that somebody has decided. */
export function needsPerson({ comparison, replicas_agree }: ClusterStatus): boolean {
  return comparison.undecided && replicas_agree !== true;
}

/** What the digests say that are on the page. */
export function agreementText({ replicas_agree, members }: ClusterStatus): string {
  if (replicas_agree === null) return "The replicas cannot be compared at the moment.";
  if (members.length === 1) return "There is one copy, and none to compare it with.";
  return replicas_agree ? "Equal digests, taken at one point: the replicas hold the same." : "The digests differ.";
}

/** In the place of `agreementText`: what was so is told as what it is, the past. */
export function withdrawnAgreement({ replicas_agree, members }: ClusterStatus, asOf: string): string {
  const now = "Whether the replicas hold the same is not known.";
  if (replicas_agree === null || members.length === 1) return now;
  return `${now} They ${replicas_agree ? "did" : "did not"} as of ${asOf}.`;
}

/** What the comparisons have found that the cluster makes by itself. */
export function comparisonText({ compared, differences, repaired, distrusted }: ClusterStatus["comparison"]): string {
  const since = "since this coordinator started";
  const times = compared === 1 ? "once" : `${compared.toLocaleString()} times`;
  const known = compared === 0 ? `Not compared yet ${since}` : `Compared ${times} ${since}`;
  if (differences === 0) return compared === 0 ? `${known}.` : `${known}: all the same.`;
  return [`${known}.`, foundText(differences, repaired), ...distrustedText(distrusted)].join(" ");
}

/** A difference is not always one copy that is wrong: without a majority nobody knows which, and each time counts. */
function foundText(differences: number, repaired: number): string {
  if (differences === repaired) {
    return differences === 1
      ? "1 copy differed or was damaged, and was made anew."
      : `${differences.toLocaleString()} copies differed or were damaged, and were made anew.`;
  }
  const found = `A difference or damage was found ${differences === 1 ? "once" : `${differences.toLocaleString()} times`}`;
  if (repaired === 0) return `${found}.`;
  return `${found}, and ${repaired === 1 ? "1 copy was" : `${repaired.toLocaleString()} copies were`} made anew.`;
}

function distrustedText(distrusted: ClusterStatus["comparison"]["distrusted"]): string[] {
  if (distrusted.length === 0) return [];
  const names = distrusted.map(({ node, address }) => address ?? `node ${node.slice(0, 8)}`);
  return [`Not trusted, and made anew from another copy: ${names.join(", ")}.`];
}

export function durabilityText(durability: ClusterStatus["durability"]): string {
  switch (durability) {
    case null:
      return "No member has said so far whether it logs.";
    case "memory":
      return "A write lives as long as one copy's process does.";
    case "logged":
      return "Logged and synced a moment later: a crash of all copies at once may lose the last moment.";
    case "logged and synced":
      return "A write is on every copy's disk before it is acknowledged.";
  }
}

/** The last half says enough to compare by eye, since a sum grows from its end; in groups, so that the eye can. */
export function digestText(digest: string | null): string {
  if (digest === null) return "unknown";
  return (digest.slice(-16).match(/.{1,4}/g) ?? []).join(" ");
}

const units = ["B", "kB", "MB", "GB", "TB"];

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
