/** What the numbers of a cluster mean, in words. */
import type { ClusterStatus } from "../api/client.ts";

export interface Standing {
  readonly tone: "good" | "warn" | "bad";
  readonly text: string;
}

/** The worst that is to be said comes first. */
export function standingOf(status: ClusterStatus): Standing {
  if (status.replicas_agree === false) return { tone: "bad", text: "The replicas differ." };
  if (!status.serving) {
    const text = status.pending_view === null ? "Not serving writes." : `Changing to view ${status.pending_view}.`;
    return { tone: "warn", text };
  }
  if (status.in_doubt > 0) {
    const noun = status.in_doubt === 1 ? "transaction is" : "transactions are";
    return { tone: "warn", text: `Serving writes; ${status.in_doubt} ${noun} in doubt.` };
  }
  const gone = status.members.filter(({ connected }) => !connected).length;
  if (gone > 0) return { tone: "warn", text: `Serving, with ${gone} of ${status.members.length} members out of reach.` };
  if (status.others.length > 0) return { tone: "warn", text: `Serving writes; ${othersText(status.others.length)}.` };
  return { tone: "good", text: "Serving writes." };
}

function othersText(count: number): string {
  return count === 1 ? "1 worker is not a member" : `${count} workers are not members`;
}

export function durabilityText(durability: ClusterStatus["durability"]): string {
  switch (durability) {
    case "memory":
      return "A write lives as long as one copy's process does.";
    case "logged":
      return "Logged and synced a moment later: a crash of all copies at once may lose the last moment.";
    case "logged and synced":
      return "A write is on every copy's disk before it is acknowledged.";
  }
}

/** The first half says enough to compare by eye; in groups, so that the eye can. */
export function digestText(digest: string | null): string {
  if (digest === null) return "unknown";
  return (digest.slice(0, 16).match(/.{1,4}/g) ?? []).join(" ");
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
