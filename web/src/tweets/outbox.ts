/**
 * The reader's own writes on their way: posts, edits and deletions, each with the state it is in.
 *
 * Every entry has one idempotency key for life. Unsettled entries are kept in the tab's storage, so that a reload in
 * the middle of a write takes it up again under the same key: nothing is lost and nothing is written twice. A
 * deletion is held back for a few seconds, in which it can be undone; leaving the page sends it at once.
 */
import type { Tweet } from "../api/client.ts";
import { newIdempotencyKey } from "../api/idempotency.ts";
import { Store } from "../api/store.ts";
import type { WriteState } from "../api/write.ts";
import { Writer, type WriterPorts } from "../api/writer.ts";

export type Intent =
  | { kind: "post"; text: string }
  | { kind: "edit"; tweet: Tweet; text: string }
  | { kind: "delete"; tweet: Tweet };

/** What a settled write leaves: the tweet as stored, or its absence. */
export type Settled = Tweet | "deleted";

export type EntryState = WriteState<Settled> | { kind: "held" };

export interface Entry {
  readonly key: string;
  readonly intent: Intent;
  readonly madeAtMs: number;
  readonly state: EntryState;
}

export interface OutboxPorts {
  writerFor(key: string, intent: Intent): WriterPorts<Settled>;
  /** Sends without waiting for an answer, in a way that outlives the page. */
  sendLeaving(key: string, intent: Intent): void;
  after(delayMs: number, call: () => void): () => void;
  now(): number;
  load(): string | null;
  save(text: string | null): void;
  /** Called at each change of an entry's state, and first of all for a committed one. */
  onState(entry: Entry): void;
}

export const undoWindowMs = 6_000;
const committedShownMs = 4_000;
const entriesMax = 50;

/** How long the server surely remembers a key: an older write is not repeated, since that could write it twice. */
export const keyLifeMs = 60 * 60 * 1000;

export class Outbox extends Store<readonly Entry[]> {
  private writers = new Map<string, Writer<Settled>>();
  private timers = new Map<string, () => void>();
  private closed = false;

  constructor(private readonly ports: OutboxPorts) {
    super([]);
    for (const kept of readKept(ports.load(), ports.now())) {
      this.put({ ...kept, state: { kind: "unknown", transaction: null, asked: 0, aborts: 0, paused: false } });
      this.run(kept.key, kept.intent, true);
    }
  }

  /** Takes a write in; false when too many are under way already. */
  add(intent: Intent): boolean {
    if (this.state.length >= entriesMax) return false;
    const key = newIdempotencyKey();
    const held = intent.kind === "delete";
    const state: EntryState = held ? { kind: "held" } : { kind: "sending", attempt: 0 };
    this.put({ key, intent, madeAtMs: this.ports.now(), state });
    if (held) this.later(key, undoWindowMs, () => this.run(key, intent, false));
    else this.run(key, intent, false);
    return true;
  }

  /** Takes a held deletion back. */
  undo(key: string): void {
    if (this.find(key)?.state.kind === "held") this.drop(key);
  }

  ask(key: string): void {
    this.writers.get(key)?.ask();
  }

  /** Asks on for every write that waits for somebody to: the network is back, or the reader logged in again. */
  askAll(): void {
    for (const writer of this.writers.values()) writer.ask();
  }

  /** Tries a refused write anew, as the new write that it is: the refused one had no effect. */
  again(key: string): void {
    const entry = this.find(key);
    if (entry?.state.kind !== "refused") return;
    this.drop(key);
    const fresh = newIdempotencyKey();
    this.put({ ...entry, key: fresh, madeAtMs: this.ports.now(), state: { kind: "sending", attempt: 0 } });
    this.run(fresh, entry.intent, false);
  }

  /** Puts a refused write away. */
  dismiss(key: string): void {
    if (this.find(key)?.state.kind === "refused") this.drop(key);
  }

  /** The page goes away: held deletions go out now. */
  leave(): void {
    for (const entry of this.state) {
      if (entry.state.kind !== "held") continue;
      this.timers.get(entry.key)?.();
      this.ports.sendLeaving(entry.key, entry.intent);
    }
  }

  /** The page came back from the browser's cache: what was sent while leaving is followed up. */
  comeBack(): void {
    for (const entry of this.state) if (entry.state.kind === "held") this.run(entry.key, entry.intent, true);
  }

  /** Sends what is held and waits until every write has been answered once, or the time is over. */
  async drain(withinMs: number): Promise<void> {
    for (const entry of this.state) {
      if (entry.state.kind !== "held") continue;
      this.timers.get(entry.key)?.();
      this.run(entry.key, entry.intent, false);
    }
    await new Promise<void>((resolve) => {
      const cancel = this.ports.after(withinMs, () => finish());
      const forget = this.subscribe(() => answered() && finish());
      const answered = () => this.state.every(({ state }) => state.kind !== "sending");
      const finish = () => {
        cancel();
        forget();
        resolve();
      };
      if (answered()) finish();
    });
  }

  close(): void {
    this.closed = true;
    for (const writer of this.writers.values()) writer.stop();
    for (const cancel of this.timers.values()) cancel();
  }

  private run(key: string, intent: Intent, resume: boolean): void {
    const ports = this.ports.writerFor(key, intent);
    const report = (state: WriteState<Settled>) => this.became(key, state);
    this.writers.set(key, resume ? Writer.resume(ports, report) : Writer.start(ports, report));
  }

  private became(key: string, state: WriteState<Settled>): void {
    const entry = this.find(key);
    if (entry === undefined || this.closed) return;
    const changed = { ...entry, state };
    this.ports.onState(changed);
    this.put(changed);
    if (state.kind === "committed" && state.value !== null) this.later(key, committedShownMs, () => this.drop(key));
  }

  private later(key: string, delayMs: number, call: () => void): void {
    this.timers.get(key)?.();
    this.timers.set(key, this.ports.after(delayMs, call));
  }

  private find(key: string): Entry | undefined {
    return this.state.find((entry) => entry.key === key);
  }

  private put(entry: Entry): void {
    const known = this.state.some(({ key }) => key === entry.key);
    this.change(known ? this.state.map((e) => (e.key === entry.key ? entry : e)) : [entry, ...this.state]);
  }

  private drop(key: string): void {
    this.timers.get(key)?.();
    this.timers.delete(key);
    this.writers.get(key)?.stop();
    this.writers.delete(key);
    this.change(this.state.filter((entry) => entry.key !== key));
  }

  private change(entries: readonly Entry[]): void {
    this.set(entries);
    const open = entries.filter(({ state }) => isUnsettled(state));
    const kept = open.map(({ key, intent, madeAtMs }) => ({ key, intent, madeAtMs }));
    this.ports.save(kept.length === 0 ? null : JSON.stringify(kept));
  }
}

/** Whether a write is still to be seen through: one that was turned away for want of a session is, after log-in. */
function isUnsettled(state: EntryState): boolean {
  return state.kind === "refused" ? state.problem.status === 401 : state.kind !== "committed";
}

type Kept = Pick<Entry, "key" | "intent" | "madeAtMs">;

function readKept(text: string | null, nowMs: number): Kept[] {
  if (text === null) return [];
  try {
    const entries = JSON.parse(text) as Kept[];
    return entries.filter(({ madeAtMs }) => nowMs - madeAtMs < keyLifeMs).reverse();
  } catch {
    return [];
  }
}
