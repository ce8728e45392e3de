import { describe, expect, it } from "vitest";
import type { Tweet } from "../api/client.ts";
import type { Problem } from "../api/problem.ts";
import type { Outcome, Reply } from "../api/write.ts";
import type { Claims } from "./claims.ts";
import type { Intent, Settled } from "./intent.ts";
import { KeptWrites } from "./kept-writes.ts";
import { Outbox, undoWindowMs, type Entry } from "./outbox.ts";
import { shelfOf } from "./shelf.ts";
import { MemoryStorage } from "./storage.fixture.ts";

const tweet: Tweet = {
  id: "t1",
  author: "ada",
  text: "stored",
  created_at: "2026-01-01T00:00:00Z",
  edited_at: null,
  version: 1,
};
const problem = (status: number, code: number | null = null): Problem => ({
  status,
  code,
  title: "No",
  detail: null,
  transaction: null,
  fields: {},
});
const keyLifeMs = 24 * 60 * 60 * 1000;
const done: Reply<Settled> = { kind: "done", value: tweet };
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A device with one storage and the tabs that are open on it; sends are answered when the test says so. */
function device() {
  const storage = new MemoryStorage();
  const sent: { tab: number; key: string; intent: Intent; answer: (reply: Reply<Settled>) => void }[] = [];
  const asked: { transaction: string; answer: (outcome: Outcome) => void }[] = [];
  const leaving: string[] = [];
  const world = { online: true, nowMs: 1_700_000_000_000, forbidden: false };
  const holders = new Map<string, { granted: () => void }[]>();
  const tabs: Outbox[] = [];

  const claims: Claims = {
    claim(key, _own, granted) {
      const queue = holders.get(key) ?? [];
      holders.set(key, queue);
      const claim = { granted: () => queueMicrotask(() => queue[0] === claim && granted()) };
      queue.push(claim);
      if (queue[0] === claim) claim.granted();
      return () => {
        const first = queue[0] === claim;
        queue.splice(queue.indexOf(claim), queue.includes(claim) ? 1 : 0);
        if (first) queue[0]?.granted();
      };
    },
  };

  function open() {
    const number = tabs.length;
    const timers: { delayMs: number; call: () => void; cancelled: boolean }[] = [];
    const states: Entry[] = [];
    const shelf = shelfOf(() => {
      if (world.forbidden) throw new DOMException("denied", "SecurityError");
      return storage;
    });
    const outbox = new Outbox({
      ...claims,
      writes: new KeptWrites("ada", shelf),
      send: (key, intent) => new Promise((answer) => sent.push({ tab: number, key, intent, answer })),
      outcomeOf: (transaction) => new Promise((answer) => asked.push({ transaction, answer })),
      sendLeaving: (key) => leaving.push(key),
      after: (delayMs, call) => {
        const timer = { delayMs, call, cancelled: false };
        timers.push(timer);
        return () => (timer.cancelled = true);
      },
      now: () => world.nowMs,
      online: () => world.online,
      keyLifeMs: () => keyLifeMs,
      onState: (entry) => states.push(entry),
    });
    tabs.push(outbox);
    const fire = () => timers.splice(0).forEach((timer) => void (!timer.cancelled && timer.call()));
    const kinds = () => outbox.state.map(({ state }) => state.kind);
    return { outbox, timers, states, fire, kinds };
  }

  /** The other tabs hear of a change of storage. */
  const told = () => tabs.forEach((tab) => tab.follow());
  return { storage, sent, asked, leaving, world, open, told };
}

const post = (text: string): Intent => ({ kind: "post", text });

describe("a post", () => {
  it("is sent at once, kept until it is settled, and leaves after being seen as committed", async () => {
    const { storage, sent, open } = device();
    const { outbox, states, kinds, fire } = open();
    expect(outbox.add(post("hello"))).toBe("kept");
    expect(kinds()).toEqual(["sending"]);
    expect(storage.getItem(storage.key(0) ?? "")).toContain("hello");
    await settle();
    sent[0]?.answer(done);
    await settle();
    expect(states.at(-1)?.state).toMatchObject({ kind: "committed", value: tweet });
    expect(storage.length).toBe(0);
    fire();
    expect(outbox.state).toEqual([]);
  });

  it("that was made offline goes out from the next tab, under its key, as a first send", async () => {
    const { sent, world, open } = device();
    world.online = false;
    const { outbox, kinds } = open();
    outbox.add(post("from the tunnel"));
    await settle();
    expect(kinds()).toEqual(["queued"]);
    expect(sent).toEqual([]);
    const key = outbox.state[0]?.key;
    outbox.leave();
    outbox.close();
    // However long it takes: what was never sent cannot be there already.
    world.nowMs += 40 * keyLifeMs;
    world.online = true;
    const next = open();
    await settle();
    expect(sent.map((send) => [send.key, send.intent])).toEqual([[key, post("from the tunnel")]]);
    expect(next.kinds()).toEqual(["sending"]);
    sent[0]?.answer(done);
    await settle();
    expect(next.kinds()).toEqual(["committed"]);
  });

  it("that waits for a network goes out when there is one", async () => {
    const { sent, world, open } = device();
    world.online = false;
    const { outbox, kinds } = open();
    outbox.add(post("hello"));
    await settle();
    world.online = true;
    outbox.askAll();
    expect(kinds()).toEqual(["sending"]);
    expect(sent).toHaveLength(1);
  });

  it("whose answer was lost is taken up by the next tab under the same key, as unknown", async () => {
    const { sent, open } = device();
    const before = open();
    before.outbox.add(post("hello"));
    await settle();
    before.outbox.close();
    const after = open();
    await settle();
    expect(after.kinds()).toEqual(["unknown"]);
    expect(sent.map(({ key }) => key)).toEqual([sent[0]?.key, sent[0]?.key]);
    sent[1]?.answer(done);
    await settle();
    expect(after.kinds()).toEqual(["committed"]);
  });

  it("with a transaction of unknown outcome is asked for by the next tab, not sent again", async () => {
    const { sent, asked, open } = device();
    const before = open();
    before.outbox.add(post("hello"));
    await settle();
    sent[0]?.answer({ kind: "doubt", transaction: "7-1" });
    await settle();
    before.outbox.close();
    const after = open();
    await settle();
    expect(sent).toHaveLength(1);
    expect(asked.map(({ transaction }) => transaction)).toEqual(["7-1"]);
    expect(after.outbox.state[0]?.state).toMatchObject({ kind: "unknown", transaction: "7-1" });
  });

  it("is sent by one of two open tabs; the other shows it and lets go of it with its end", async () => {
    const { sent, open, told } = device();
    const [one, other] = [open(), open()];
    one.outbox.add(post("hello"));
    told();
    await settle();
    expect(one.kinds()).toEqual(["sending"]);
    expect(other.kinds()).toEqual(["elsewhere"]);
    sent[0]?.answer(done);
    await settle();
    told();
    await settle();
    expect(other.kinds()).toEqual([]);
    expect(sent).toHaveLength(1);
  });

  it("passes to the other tab when its own is closed", async () => {
    const { sent, open, told } = device();
    const [one, other] = [open(), open()];
    one.outbox.add(post("hello"));
    told();
    await settle();
    one.outbox.leave();
    await settle();
    expect(other.kinds()).toEqual(["unknown"]);
    expect(sent.map(({ tab }) => tab)).toEqual([0, 1]);
    expect(sent[1]?.key).toBe(sent[0]?.key);
  });

  it("comes back to its tab with the page, if no other has it", async () => {
    const { sent, open } = device();
    const { outbox, kinds } = open();
    outbox.add(post("hello"));
    await settle();
    outbox.leave();
    outbox.comeBack();
    await settle();
    expect(kinds()).toEqual(["unknown"]);
    expect(sent).toHaveLength(2);
  });

  it("is not repeated once the server may have forgotten its key: the reader decides", async () => {
    const { sent, storage, world, open } = device();
    const before = open();
    before.outbox.add(post("hello"));
    await settle();
    before.outbox.close();
    world.nowMs += keyLifeMs;
    const after = open();
    await settle();
    expect(after.kinds()).toEqual(["lapsed"]);
    expect(sent).toHaveLength(1);
    expect(storage.length).toBe(1);
    after.outbox.renew(after.outbox.state[0]?.key ?? "");
    await settle();
    expect(after.kinds()).toEqual(["sending"]);
    expect(sent[1]?.intent).toEqual(post("hello"));
    expect(sent[1]?.key).not.toBe(sent[0]?.key);
    expect(storage.length).toBe(1);
  });

  it("is not repeated either by a tab that slept for too long, or whose clock was put back", async () => {
    for (const passedMs of [keyLifeMs, -1]) {
      const { sent, world, open } = device();
      const { outbox, kinds, fire } = open();
      outbox.add(post("hello"));
      await settle();
      sent[0]?.answer({ kind: "doubt", transaction: null });
      await settle();
      world.nowMs += passedMs;
      fire();
      await settle();
      expect(kinds()).toEqual(["lapsed"]);
      expect(sent).toHaveLength(1);
    }
  });

  it("that lapsed but has a transaction is asked for first", async () => {
    const { sent, asked, storage, world, open } = device();
    const before = open();
    before.outbox.add(post("hello"));
    await settle();
    sent[0]?.answer({ kind: "doubt", transaction: "7-1" });
    await settle();
    before.outbox.close();
    world.nowMs += keyLifeMs;
    const after = open();
    await settle();
    asked[0]?.answer("committed");
    await settle();
    expect(after.kinds()).toEqual(["committed"]);
    expect(storage.length).toBe(0);
    expect(sent).toHaveLength(1);
  });

  it("stays with its reason when refused, in the next tab too, until it is put away", async () => {
    const { sent, storage, open } = device();
    const before = open();
    before.outbox.add(post("hello"));
    await settle();
    sent[0]?.answer({ kind: "refused", problem: problem(400, 512) });
    await settle();
    expect(before.outbox.state[0]?.state).toEqual({ kind: "refused", problem: problem(400, 512) });
    before.outbox.close();
    const after = open();
    await settle();
    expect(after.outbox.state[0]).toMatchObject({ intent: post("hello"), state: { kind: "refused", problem: problem(400, 512) } });
    expect(sent).toHaveLength(1);
    after.outbox.dismiss(after.outbox.state[0]?.key ?? "");
    expect(after.outbox.state).toEqual([]);
    expect(storage.length).toBe(0);
  });

  it("that was refused is seen in all tabs, tried again in any, and put away in all", async () => {
    const { sent, open, told } = device();
    const [one, other] = [open(), open()];
    one.outbox.add(post("hello"));
    told();
    await settle();
    sent[0]?.answer({ kind: "refused", problem: problem(503, 715) });
    await settle();
    told();
    expect(other.kinds()).toEqual(["refused"]);
    other.outbox.again(sent[0]?.key ?? "");
    await settle();
    told();
    expect([one.kinds(), other.kinds()]).toEqual([["elsewhere"], ["sending"]]);
    expect(sent.map(({ tab }) => tab)).toEqual([0, 1]);
    // The refused one had no effect, and a copy of it that is still on its way must not have one in addition to this.
    expect(sent[1]?.key).toBe(sent[0]?.key);
    sent[1]?.answer({ kind: "refused", problem: problem(400, 512) });
    await settle();
    told();
    one.outbox.dismiss(sent[0]?.key ?? "");
    told();
    expect([one.kinds(), other.kinds()]).toEqual([[], []]);
  });

  it("is kept for the next log-in when there was no session for it", async () => {
    const { sent, open } = device();
    const before = open();
    before.outbox.add(post("hello"));
    await settle();
    sent[0]?.answer({ kind: "refused", problem: problem(401, 700) });
    await settle();
    before.outbox.close();
    open();
    await settle();
    expect(sent.map(({ key }) => key)).toEqual([sent[0]?.key, sent[0]?.key]);
  });

  it("is not taken in when fifty are there", () => {
    const { open } = device();
    const { outbox } = open();
    for (let i = 0; i < 50; i++) expect(outbox.add(post(`${i}`))).toBe("kept");
    expect(outbox.add(post("one more"))).toBe("too many");
  });

  it("is sent where the device keeps nothing, and marked as what closing the page would lose", async () => {
    const { sent, world, open, told } = device();
    world.forbidden = true;
    const { outbox, kinds } = open();
    expect(outbox.add(post("hello"))).toBe("not kept");
    await settle();
    expect(outbox.state[0]).toMatchObject({ kept: false, state: { kind: "sending" } });
    expect(outbox.wouldLose).toBe(true);
    told();
    expect(kinds()).toEqual(["sending"]);
    sent[0]?.answer(done);
    await settle();
    expect(kinds()).toEqual(["committed"]);
    expect(outbox.wouldLose).toBe(false);
  });

  it("is kept as soon as the device has room again", async () => {
    const { sent, storage, open } = device();
    storage.charactersMax = 0;
    const { outbox } = open();
    expect(outbox.add(post("hello"))).toBe("not kept");
    storage.charactersMax = Number.POSITIVE_INFINITY;
    await settle();
    sent[0]?.answer({ kind: "refused", problem: problem(507, 717) });
    await settle();
    expect(outbox.state[0]).toMatchObject({ kept: true, state: { kind: "refused" } });
    expect(outbox.wouldLose).toBe(false);
    expect(storage.length).toBe(1);
  });
});

describe("a deletion", () => {
  const deletion: Intent = { kind: "delete", tweet };

  it("is held back, and undone without a trace", async () => {
    const { sent, storage, open } = device();
    const { outbox, timers, fire } = open();
    outbox.add(deletion);
    await settle();
    expect(timers[0]?.delayMs).toBe(undoWindowMs);
    outbox.undo(outbox.state[0]?.key ?? "");
    fire();
    expect(sent).toEqual([]);
    expect(outbox.state).toEqual([]);
    expect(storage.length).toBe(0);
  });

  it("goes out when its time is over, and cannot be undone then", async () => {
    const { sent, open } = device();
    const { outbox, fire } = open();
    outbox.add(deletion);
    await settle();
    fire();
    expect(sent).toHaveLength(1);
    outbox.undo(outbox.state[0]?.key ?? "");
    expect(outbox.state).toHaveLength(1);
  });

  it("goes out before logging out, which waits for the answer", async () => {
    const { sent, open } = device();
    const { outbox } = open();
    outbox.add(deletion);
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
    const { open } = device();
    const { outbox, fire } = open();
    outbox.add(deletion);
    let drained = false;
    void outbox.drain(3_000).then(() => (drained = true));
    fire();
    await settle();
    expect(drained).toBe(true);
  });

  it("goes out when the page is left, and is followed up by the next tab under the same key, however late", async () => {
    const { sent, leaving, world, open } = device();
    const { outbox } = open();
    outbox.add(deletion);
    await settle();
    const key = outbox.state[0]?.key;
    outbox.leave();
    expect(leaving).toEqual([key]);
    world.nowMs += 2 * keyLifeMs;
    open();
    await settle();
    expect(sent.map((send) => send.key)).toEqual([key]);
  });
});
