/**
 * One person's writes whose fate is not known yet, kept on this device until it is, for whichever tab is open.
 *
 * They are in local storage, an item each, next to the drafts. Its writes are synchronous, so a draft is given up in the same
 * moment in which its write is kept, and a crash of the browser has either the one or the other. An item each means that
 * tabs never write over each other's. Nothing that a later change adds is needed to send a write once: an item never grows
 * when its first send is noted, and where storage is full an outcome that is not noted is asked for again.
 */
import type { Problem } from "../api/problem.ts";
import type { Intent } from "./intent.ts";
import type { Shelf } from "./shelf.ts";

export interface KeptWrite {
  /** Its idempotency key, for life. */
  readonly key: string;
  readonly intent: Intent;
  /** Whether it was sent: then it may have had an effect. */
  readonly sent: boolean;
  /** When it was first sent, else when it was made. */
  readonly atMs: number;
  /** What to ask for while the outcome is unknown, if the server named it. */
  readonly transaction: string | null;
  /** Why the server refused it for good. */
  readonly refused: Problem | null;
}

const idempotencyKey = /^[0-9a-f]{32}$/;

export class KeptWrites {
  private readonly prefix: string;

  constructor(
    username: string,
    private readonly shelf: Shelf,
  ) {
    // No username has a slash, so one person's prefix never begins another's.
    this.prefix = `skein.outbox.${username.toLowerCase()}/`;
  }

  /** Oldest first. */
  all(): KeptWrite[] {
    const keys = this.shelf.keys().flatMap((name) => (name.startsWith(this.prefix) ? [name.slice(this.prefix.length)] : []));
    const writes = keys.map((key) => this.get(key)).filter((write) => write !== null);
    return writes.sort((one, other) => one.atMs - other.atMs);
  }

  /** Null when it is not kept, or what is kept cannot be read. */
  get(key: string): KeptWrite | null {
    const text = idempotencyKey.test(key) ? this.shelf.read(this.prefix + key) : null;
    if (text === null) return null;
    try {
      return writeFrom(key, JSON.parse(text));
    } catch {
      return null;
    }
  }

  /** False when it could not be kept as it is; what was kept of it before then stays. */
  put({ key, ...write }: KeptWrite): boolean {
    const { sent, atMs, intent, transaction, refused } = write;
    return this.shelf.write(this.prefix + key, JSON.stringify({ sent, atMs, intent, transaction, refused }));
  }

  remove(key: string): void {
    this.shelf.remove(this.prefix + key);
  }

  /** Whether a change of storage under this name is about these; null is a change of everything. */
  concerns(name: string | null): boolean {
    return name === null || name.startsWith(this.prefix);
  }
}

/** Reads what another version of the app may have written. */
function writeFrom(key: string, item: unknown): KeptWrite | null {
  const { sent, atMs, intent, transaction, refused } = item as Partial<KeptWrite>;
  if (typeof sent !== "boolean" || typeof atMs !== "number" || intent === undefined) return null;
  const known = intent.kind === "post" || ((intent.kind === "edit" || intent.kind === "delete") && hasTweet(intent));
  if (!known || (intent.kind !== "delete" && typeof intent.text !== "string")) return null;
  return { key, sent, atMs, intent, transaction: transaction ?? null, refused: refused ?? null };
}

function hasTweet({ tweet }: { tweet: unknown }): boolean {
  return typeof tweet === "object" && tweet !== null && typeof (tweet as { id?: unknown }).id === "string";
}
