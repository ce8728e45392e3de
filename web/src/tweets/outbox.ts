/**
 * The reader's own writes on their way: posts, edits and deletions, each with the state it is in.
 *
 *     queued --a network--> (the states of write.ts) --> committed | refused | lapsed
 *     held   --undo time over--^                           elsewhere: another tab sees it through
 *
 * Every write has one idempotency key for life, and is kept on the device until its fate is known: by whichever tab is open,
 * one at a time, a reload, a closed tab or a log-out in between. What was refused or has lapsed is kept too, until the reader
 * has said what becomes of it. A deletion is held back for a few seconds, in which it can be undone; leaving the page sends
 * it at once. Where the device keeps nothing, writes are sent all the same, and marked so that the reader can stay for them.
 */
import { newIdempotencyKey } from "../api/idempotency.ts";
import type { WriteState } from "../api/write.ts";
import { Writer, type WriterPorts } from "../api/writer.ts";
import { Store } from "../store.ts";
import { TabClaims, type Claims } from "./claims.ts";
import type { Intent, Settled } from "./intent.ts";
import type { KeptWrite, KeptWrites } from "./kept-writes.ts";

export type EntryState = WriteState<Settled> | { kind: "held" } | { kind: "queued" } | { kind: "elsewhere" };

export interface Entry extends KeptWrite {
  readonly state: EntryState;
  /** Whether it would outlive this page. */
  readonly kept: boolean;
}

export interface OutboxPorts extends Claims, Pick<WriterPorts<Settled>, "outcomeOf" | "after"> {
  readonly writes: Pick<KeptWrites, "all" | "get" | "put" | "remove">;
  send(key: string, intent: Intent): ReturnType<WriterPorts<Settled>["send"]>;
  /** Sends without waiting for an answer, in a way that outlives the page. */
  sendLeaving(key: string, intent: Intent): void;
  now(): number;
  /** False while it is certain that nothing can be sent. */
  online(): boolean;
  /** How long the server surely remembers a key. */
  keyLifeMs(): number;
  /** Called at each change of an entry's state, and first of all for a committed one. */
  onState(entry: Entry): void;
}

/** What became of a write that was handed in: whether it would outlive this page, or why it was not taken. */
export type Taken = "kept" | "not kept" | "too many";

export const tooManyWrites = "Too many writes wait here. Finish or discard some first.";

export const undoWindowMs = 6_000;
const committedShownMs = 4_000;
/** For a committed write whose stored form could not be fetched: the timeline has it by then. */
const committedUnseenMs = 60_000;
const entriesMax = 50;
/** A repeat that is sent at the last moment must find the key remembered. */
const keyLifeSpareMs = 60_000;

export class Outbox extends Store<readonly Entry[]> {
  private readonly writers = new Map<string, Writer<Settled>>();
  private readonly timers = new Map<string, () => void>();
  private readonly claims: TabClaims;
  /** The key of the next write. It is claimed before there is a write to see, so that no other tab can be first. */
  private nextKey = newIdempotencyKey();
  private closed = false;

  constructor(private readonly ports: OutboxPorts) {
    super([]);
    this.claims = new TabClaims(ports);
    this.follow();
    this.takeOn(this.nextKey, true);
  }

  /** Takes a write in, unless too many are there already, and says whether the device keeps it. */
  add(intent: Intent): Taken {
    if (this.state.length >= entriesMax) return "too many";
    const key = this.nextKey;
    this.nextKey = newIdempotencyKey();
    this.takeOn(this.nextKey, true);
    const write = { key, intent, sent: false, atMs: this.ports.now(), transaction: null, refused: null };
    const kept = this.ports.writes.put(write);
    this.put({ ...write, kept, state: intent.kind === "delete" ? { kind: "held" } : { kind: "sending", attempt: 0 } });
    this.takeOn(key, true);
    return kept ? "kept" : "not kept";
  }

  /** Takes a held deletion back. */
  undo(key: string): void {
    if (this.find(key)?.state.kind === "held") this.discard(key);
  }

  ask(key: string): void {
    this.writers.get(key)?.ask();
  }

  /** Goes on with every write that waits for somebody to: the network is back, or the reader logged in again. */
  askAll(): void {
    for (const { key, state } of this.state) if (state.kind === "queued") this.run(key);
    for (const writer of this.writers.values()) writer.ask();
  }

  /** Tries a refused write once more. It had no effect, so its key is still good for one. */
  again(key: string): void {
    const entry = this.find(key);
    if (entry?.state.kind !== "refused") return;
    this.put({ ...entry, refused: null, state: { kind: "sending", attempt: 0 } });
    this.takeOn(key, true);
  }

  /** Sends a lapsed write under a new key, since the reader has seen that it had no effect. */
  renew(key: string): void {
    const entry = this.find(key);
    if (entry?.state.kind !== "lapsed") return;
    this.discard(key);
    this.add(entry.intent);
  }

  /** Puts away what the reader has decided about: a refused or lapsed write. */
  dismiss(key: string): void {
    const kind = this.find(key)?.state.kind;
    if (kind === "refused" || kind === "lapsed") this.discard(key);
  }

  /** Whether closing the page would lose something. */
  get wouldLose(): boolean {
    return this.state.some(({ kept, state }) => !kept && state.kind !== "committed");
  }

  /** Takes over what other tabs have made of the kept writes. */
  follow(): void {
    if (this.closed) return;
    const stored = new Map(this.ports.writes.all().map((write) => [write.key, write]));
    for (const { key, state, refused, kept } of this.state) {
      const waits = state.kind === "elsewhere" || state.kind === "lapsed" || refused !== null;
      if (waits && kept && !stored.has(key)) this.drop(key);
    }
    for (const write of stored.values()) {
      const known = this.find(write.key);
      if (write.refused !== null) {
        if (known === undefined || known.state.kind === "elsewhere") this.place(write);
      } else if (known === undefined || known.refused !== null) {
        this.place(write);
        this.takeOn(write.key, false);
      }
    }
  }

  /** The page goes away: held deletions go out now, and another tab may have the rest. */
  leave(): void {
    for (const entry of this.state) {
      if (entry.state.kind !== "held") continue;
      this.update({ ...entry, sent: true, atMs: this.ports.now() });
      this.ports.sendLeaving(entry.key, entry.intent);
    }
    this.letGo();
  }

  /** The page came back from the browser's cache. */
  comeBack(): void {
    for (const entry of this.state) {
      if (entry.state.kind === "committed") this.drop(entry.key);
      else if (entry.state.kind !== "lapsed" && entry.refused === null) {
        this.put({ ...entry, state: { kind: "elsewhere" } });
        this.takeOn(entry.key, false);
      }
    }
    this.follow();
    this.takeOn(this.nextKey, true);
  }

  /** Sends what is held and waits until every write has been answered once, or the time is over. */
  async drain(withinMs: number): Promise<void> {
    for (const { key, state } of this.state) if (state.kind === "held") this.run(key);
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
    this.letGo();
  }

  /** Sees a write through as soon as it is this tab's to do. */
  private takeOn(key: string, own: boolean): void {
    this.claims.take(key, own, () => this.takeUp(key));
  }

  /** This tab has the write now; the one before may have changed it, or seen it through. */
  private takeUp(key: string): void {
    const entry = this.find(key);
    if (entry === undefined || this.writers.has(key)) return;
    const write = entry.kept ? this.ports.writes.get(key) : entry;
    if (write === null) this.drop(key);
    else if (write.refused !== null && entry.state.kind === "elsewhere") this.place(write);
    else if (entry.state.kind === "held") this.later(key, undoWindowMs, () => this.run(key));
    else {
      // Refused and yet here: the reader wants it tried again.
      const again = write.refused !== null;
      const open = { ...entry, ...write, refused: null };
      this.put(again ? this.kept(open) : open);
      this.run(key);
    }
  }

  private run(key: string): void {
    const entry = this.find(key);
    if (entry === undefined) return;
    this.timers.get(key)?.();
    if (!entry.sent && !this.ports.online()) return this.change(entry, { kind: "queued" });
    const { outcomeOf, after } = this.ports;
    const ports: WriterPorts<Settled> = { send: () => this.send(key), outcomeOf, after };
    const report = (state: WriteState<Settled>) => this.became(key, state);
    this.writers.set(key, entry.sent ? Writer.resume(ports, report, entry.transaction) : Writer.start(ports, report));
  }

  /** That it is sent is kept before it is: from then on it may have had an effect. */
  private send(key: string): ReturnType<OutboxPorts["send"]> {
    const entry = this.find(key);
    if (entry === undefined || this.hasLapsed(entry)) return Promise.resolve({ kind: "lapsed" });
    if (!entry.sent) this.update({ ...entry, sent: true, atMs: this.ports.now() });
    return this.ports.send(key, entry.intent);
  }

  /** Repeats of edits and deletions find that they are done already; a post could be there twice. */
  private hasLapsed({ intent, sent, atMs }: Entry): boolean {
    const ageMs = this.ports.now() - atMs;
    // A clock that was put back tells nothing of the age.
    return intent.kind === "post" && sent && (ageMs < 0 || ageMs >= this.ports.keyLifeMs() - keyLifeSpareMs);
  }

  private became(key: string, state: WriteState<Settled>): void {
    const entry = this.find(key);
    if (entry === undefined || this.closed) return;
    this.change(this.noted(entry, state), state);
    if (state.kind === "committed") {
      this.later(key, state.value === null ? committedUnseenMs : committedShownMs, () => this.drop(key));
    }
  }

  private change(entry: Entry, state: EntryState): void {
    const changed = { ...entry, state };
    this.ports.onState(changed);
    this.put(changed);
  }

  /** Keeps what of a new state the next tab has to know. */
  private noted(entry: Entry, state: WriteState<Settled>): Entry {
    switch (state.kind) {
      case "committed":
        this.ports.writes.remove(entry.key);
        this.claims.release(entry.key);
        return entry;
      case "refused":
        this.writers.delete(entry.key);
        // It goes out after the next log-in.
        if (state.problem.status === 401) return entry;
        this.claims.release(entry.key);
        return this.kept({ ...entry, sent: false, transaction: null, refused: state.problem });
      case "lapsed":
        this.writers.delete(entry.key);
        this.claims.release(entry.key);
        return entry;
      case "unknown":
        return state.transaction === entry.transaction ? entry : this.kept({ ...entry, transaction: state.transaction });
      default:
        return entry;
    }
  }

  /** Shows a write as it is kept: refused, or in the hands of another tab until this one has it. */
  private place(write: KeptWrite): void {
    this.claims.release(write.key);
    const { refused } = write;
    this.put({ ...write, kept: true, state: refused === null ? { kind: "elsewhere" } : { kind: "refused", problem: refused } });
  }

  private kept(entry: Entry): Entry {
    // What was kept before is still there where the new form has no room.
    return { ...entry, kept: this.ports.writes.put(entry) || entry.kept };
  }

  private update(entry: Entry): void {
    this.put(this.kept(entry));
  }

  private discard(key: string): void {
    this.ports.writes.remove(key);
    this.drop(key);
  }

  private letGo(): void {
    for (const writer of this.writers.values()) writer.stop();
    for (const cancel of this.timers.values()) cancel();
    this.claims.releaseAll();
    this.writers.clear();
    this.timers.clear();
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
    this.set(known ? this.state.map((e) => (e.key === entry.key ? entry : e)) : [entry, ...this.state]);
  }

  private drop(key: string): void {
    this.timers.get(key)?.();
    this.timers.delete(key);
    this.writers.get(key)?.stop();
    this.writers.delete(key);
    this.claims.release(key);
    this.set(this.state.filter((entry) => entry.key !== key));
  }
}
