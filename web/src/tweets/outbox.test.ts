import { describe, expect, it } from "vitest";
import type { Tweet } from "../api/client.ts";
import type { Reply } from "../api/write.ts";
import { keyLifeMs, Outbox, undoWindowMs, type Entry, type Intent, type Settled } from "./outbox.ts";

const tweet: Tweet = {
  id: "t1",
  author: "ada",
  text: "stored",
  created_at: "2026-01-01T00:00:00Z",
  edited_at: null,
  version: 1,
};

/** A world with one storage, a list of timers that the test fires, and sends answered when the test says so. */
function world(stored: string | null = null, nowMs = 0) {
  const sent: { key: string; intent: Intent; answer: (reply: Reply<Settled>) => void }[] = [];
  const leaving: string[] = [];
  const timers: { delayMs: number; call: () => void; cancelled: boolean }[] = [];
  const states: Entry[] = [];
  const storage = { text: stored };
  const outbox = new Outbox({
    writerFor: (key, intent) => ({
      send: () => new Promise((answer) => sent.push({ key, intent, answer })),
      outcomeOf: () => Promise.resolve("unknown"),
      after: (_, call) => (call(), () => undefined),
    }),
    sendLeaving: (key) => leaving.push(key),
    after: (delayMs, call) => {
      const timer = { delayMs, call, cancelled: false };
      timers.push(timer);
      return () => (timer.cancelled = true);
    },
    now: () => nowMs,
    load: () => storage.text,
    save: (text) => (storage.text = text),
    onState: (entry) => states.push(entry),
  });
  const fire = () => timers.filter((timer) => !timer.cancelled).forEach((timer) => timer.call());
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
  return { outbox, sent, leaving, timers, states, storage, fire, settle };
}

describe("a post", () => {
  it("is sent at once, kept until it is settled, and leaves after being seen as committed", async () => {
    const { outbox, sent, storage, states, fire, settle } = world();
    outbox.add({ kind: "post", text: "hello" });
    expect(outbox.state[0]?.state.kind).toBe("sending");
    expect(storage.text).toContain("hello");
    sent[0]?.answer({ kind: "done", value: tweet });
    await settle();
    expect(states.at(-1)?.state).toMatchObject({ kind: "committed", value: tweet });
    expect(storage.text).toBeNull();
    fire();
    expect(outbox.state).toEqual([]);
  });

  it("is taken up after a reload under the same key, as unknown", async () => {
    const before = world();
    before.outbox.add({ kind: "post", text: "hello" });
    const after = world(before.storage.text);
    expect(after.outbox.state[0]?.state.kind).toBe("unknown");
    expect(after.sent.map(({ key }) => key)).toEqual(before.sent.map(({ key }) => key));
    after.sent[0]?.answer({ kind: "done", value: tweet });
    await after.settle();
    expect(after.outbox.state[0]?.state.kind).toBe("committed");
  });

  it("is not repeated once the server may have forgotten its key", () => {
    const before = world();
    before.outbox.add({ kind: "post", text: "hello" });
    expect(world(before.storage.text, keyLifeMs).sent).toEqual([]);
  });

  it("stays with its reason when refused, until it is put away", async () => {
    const { outbox, sent, storage, settle } = world();
    outbox.add({ kind: "post", text: "hello" });
    const problem = { status: 400, code: 512, title: "Too long", detail: null, transaction: null, fields: {} };
    sent[0]?.answer({ kind: "refused", problem });
    await settle();
    expect(outbox.state[0]?.state).toEqual({ kind: "refused", problem });
    expect(storage.text).toBeNull();
    outbox.dismiss(outbox.state[0]?.key ?? "");
    expect(outbox.state).toEqual([]);
  });

  it("is tried again under another key, since the refused one had no effect", async () => {
    const { outbox, sent, settle } = world();
    outbox.add({ kind: "post", text: "hello" });
    const problem = { status: 503, code: 715, title: "Busy", detail: null, transaction: null, fields: {} };
    sent[0]?.answer({ kind: "refused", problem });
    await settle();
    outbox.again(sent[0]?.key ?? "");
    expect(outbox.state.map(({ state }) => state.kind)).toEqual(["sending"]);
    expect(sent[1]?.intent).toEqual(sent[0]?.intent);
    expect(sent[1]?.key).not.toBe(sent[0]?.key);
  });

  it("is kept for the next log-in when there was no session for it", async () => {
    const before = world();
    before.outbox.add({ kind: "post", text: "hello" });
    const problem = { status: 401, code: 700, title: "Nobody", detail: null, transaction: null, fields: {} };
    before.sent[0]?.answer({ kind: "refused", problem });
    await before.settle();
    before.outbox.close();
    const after = world(before.storage.text);
    expect(after.sent.map(({ key }) => key)).toEqual(before.sent.map(({ key }) => key));
  });

  it("is not taken in when fifty are under way", () => {
    const { outbox } = world();
    for (let i = 0; i < 50; i++) expect(outbox.add({ kind: "post", text: `${i}` })).toBe(true);
    expect(outbox.add({ kind: "post", text: "one more" })).toBe(false);
  });
});

describe("a deletion", () => {
  it("is held back, and undone without a trace", () => {
    const { outbox, sent, timers, storage, fire } = world();
    outbox.add({ kind: "delete", tweet });
    expect(timers[0]?.delayMs).toBe(undoWindowMs);
    outbox.undo(outbox.state[0]?.key ?? "");
    fire();
    expect(sent).toEqual([]);
    expect(outbox.state).toEqual([]);
    expect(storage.text).toBeNull();
  });

  it("goes out when its time is over, and cannot be undone then", () => {
    const { outbox, sent, fire } = world();
    outbox.add({ kind: "delete", tweet });
    fire();
    expect(sent).toHaveLength(1);
    outbox.undo(outbox.state[0]?.key ?? "");
    expect(outbox.state).toHaveLength(1);
  });

  it("goes out before logging out, which waits for the answer", async () => {
    const { outbox, sent, settle } = world();
    outbox.add({ kind: "delete", tweet });
    let drained = false;
    void outbox.drain(3_000).then(() => (drained = true));
    await settle();
    expect(sent).toHaveLength(1);
    expect(drained).toBe(false);
    sent[0]?.answer({ kind: "done", value: "deleted" });
    await settle();
    expect(drained).toBe(true);
  });

  it("does not hold logging out up for longer than its time", async () => {
    const { outbox, fire, settle } = world();
    outbox.add({ kind: "delete", tweet });
    let drained = false;
    void outbox.drain(3_000).then(() => (drained = true));
    fire();
    await settle();
    expect(drained).toBe(true);
  });

  it("goes out when the page is left, and is followed up under the same key", () => {
    const { outbox, leaving, storage } = world();
    outbox.add({ kind: "delete", tweet });
    const key = outbox.state[0]?.key;
    outbox.leave();
    expect(leaving).toEqual([key]);
    expect(world(storage.text).sent.map((send) => send.key)).toEqual([key]);
  });
});
