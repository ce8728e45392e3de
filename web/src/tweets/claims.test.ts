import { expect, it } from "vitest";
import { answerWithinMs, askAgainMs, calledClaims, lockClaims, type Channel } from "./claims.ts";

type Listener = Parameters<Channel["addEventListener"]>[1];

/** Tabs of one browser that hear each other, and a clock that the test moves. */
function browser() {
  const tabs: { listeners: Listener[]; dead: boolean }[] = [];
  const timers: { atMs: number; call: () => void }[] = [];
  let nowMs = 0;
  const open = () => {
    const tab = { listeners: [] as Listener[], dead: false };
    tabs.push(tab);
    const channel: Channel = {
      postMessage: (data) => {
        for (const other of tabs) if (other !== tab && !other.dead) other.listeners.forEach((listener) => listener({ data }));
      },
      addEventListener: (_, listener) => tab.listeners.push(listener),
    };
    const claims = calledClaims(channel, (delayMs, call) => {
      const timer = { atMs: nowMs + delayMs, call: () => void (!tab.dead && call()) };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
    });
    return { ...claims, die: () => (tab.dead = true) };
  };
  const pass = (ms: number) => {
    for (const endMs = nowMs + ms; ; ) {
      timers.sort((one, other) => one.atMs - other.atMs);
      const [next] = timers;
      if (next === undefined || next.atMs > endMs) return void (nowMs = endMs);
      nowMs = next.atMs;
      timers.shift();
      next.call();
    }
  };
  return { open, pass };
}

it("grants a tab's own write at once, and nobody else's while that tab lives", () => {
  const { open, pass } = browser();
  const [one, other] = [open(), open()];
  const granted: string[] = [];
  one.claim("k", true, () => granted.push("one"));
  other.claim("k", false, () => granted.push("other"));
  expect(granted, "never before it has returned").toEqual([]);
  pass(100_000);
  expect(granted).toEqual(["one"]);
});

it("grants what nobody has, after asking", () => {
  const { open, pass } = browser();
  const granted: string[] = [];
  open().claim("k", false, () => granted.push("found"));
  pass(answerWithinMs - 1);
  expect(granted).toEqual([]);
  pass(1);
  expect(granted).toEqual(["found"]);
});

it("passes a claim on when it is given up, and when its tab ends without a word", () => {
  const { open, pass } = browser();
  const [one, two, three] = [open(), open(), open()];
  const granted: string[] = [];
  const release = one.claim("k", true, () => granted.push("one"));
  pass(0);
  two.claim("k", false, () => granted.push("two"));
  pass(10);
  release();
  pass(answerWithinMs);
  expect(granted).toEqual(["one", "two"]);
  three.claim("k", false, () => granted.push("three"));
  pass(10);
  two.die();
  pass(askAgainMs + answerWithinMs);
  expect(granted).toEqual(["one", "two", "three"]);
});

it("does not grant a claim that was taken back", () => {
  const { open, pass } = browser();
  const granted: string[] = [];
  open().claim("k", false, () => granted.push("found"))();
  open().claim("l", true, () => granted.push("own"))();
  pass(100_000);
  expect(granted).toEqual([]);
});

/** Locks as browsers have them: one holder, the others wait in order, and an abort ends the waiting. */
function lockManager(): LockManager {
  const queues = new Map<string, Promise<unknown>>();
  const request = (name: string, { signal }: { signal: AbortSignal }, call: () => Promise<void>) => {
    const before = queues.get(name) ?? Promise.resolve();
    const held = before.then(() => (signal.aborted ? Promise.reject(new DOMException("over", "AbortError")) : call()));
    queues.set(
      name,
      held.catch(() => undefined),
    );
    return held;
  };
  return { request } as unknown as LockManager;
}

it("holds a Web Lock for as long as the claim, then the next has it", async () => {
  const claims = lockClaims(lockManager());
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
  const granted: string[] = [];
  const release = claims.claim("k", true, () => granted.push("one"));
  const giveUp = claims.claim("k", false, () => granted.push("two"));
  claims.claim("k", false, () => granted.push("three"));
  expect(granted, "never before it has returned").toEqual([]);
  await settle();
  expect(granted).toEqual(["one"]);
  giveUp();
  release();
  await settle();
  expect(granted).toEqual(["one", "three"]);
});

it("goes on without locks on a page that may not use them", async () => {
  const request = () => Promise.reject(new DOMException("not here", "SecurityError"));
  const granted: string[] = [];
  lockClaims({ request } as unknown as LockManager).claim("k", true, () => granted.push("own"));
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(granted).toEqual(["own"]);
});
