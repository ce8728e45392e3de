import { describe, expect, it } from "vitest";
import type { Problem } from "./problem.ts";
import { refusalOf, retryAfterMs } from "./reply.ts";
import { stepWrite, startWrite, writeBounds, type Outcome, type Reply, type WriteState } from "./write.ts";
import { Writer, type WriterPorts } from "./writer.ts";

const problem = (status: number): Problem => ({
  status,
  code: null,
  title: "no",
  detail: null,
  transaction: null,
  fields: {},
});
const done: Reply<string> = { kind: "done", value: "stored" };
const refused = (status: number): Reply<string> => ({ kind: "refused", problem: problem(status) });
const busy: Reply<string> = { kind: "busy", problem: problem(503), retryAfterMs: 1000 };
const doubt = (transaction: string | null): Reply<string> => ({ kind: "doubt", transaction });

/** Runs a write against scripted answers; the last of each script repeats. Time passes at once and is noted. */
async function run(script: { replies: (Reply<string> | "throw")[]; outcomes?: Outcome[] }, resume: { transaction: string | null } | null = null) {
  const seen: WriteState<string>[] = [];
  const waits: number[] = [];
  let sends = 0;
  let asks = 0;
  const take = <V>(list: V[], index: number) => list[Math.min(index, list.length - 1)] as V;
  const ports: WriterPorts<string> = {
    send: () => {
      const reply = take(script.replies, sends++);
      return reply === "throw" ? Promise.reject(new TypeError("gone")) : Promise.resolve(reply);
    },
    outcomeOf: () => Promise.resolve(take(script.outcomes ?? ["unanswered"], asks++)),
    after: (delayMs, call) => {
      waits.push(delayMs);
      queueMicrotask(call);
      return () => undefined;
    },
  };
  const report = (state: WriteState<string>) => seen.push(state);
  const writer = resume === null ? Writer.start(ports, report) : Writer.resume(ports, report, resume.transaction);
  for (let i = 0; i < 5_000; i++) await Promise.resolve();
  const kinds = seen.map((state) => state.kind).filter((kind, i, all) => kind !== all[i - 1]);
  return { writer, seen, kinds, waits, sends: () => sends, asks: () => asks, last: () => seen.at(-1) };
}

describe("a write", () => {
  it("is sent and committed", async () => {
    const { kinds, last, sends } = await run({ replies: [done] });
    expect(kinds).toEqual(["sending", "committed"]);
    expect(last()).toMatchObject({ value: "stored" });
    expect(sends()).toBe(1);
  });

  it("is refused with its reason and not sent again", async () => {
    const { kinds, sends } = await run({ replies: [refused(400)] });
    expect(kinds).toEqual(["sending", "refused"]);
    expect(sends()).toBe(1);
  });

  it("waits out an overload for as long as it was told", async () => {
    const { kinds, waits } = await run({ replies: [busy, busy, done] });
    expect(kinds).toEqual(["sending", "waiting", "sending", "waiting", "sending", "committed"]);
    expect(waits).toEqual([1000, 1000]);
  });

  it("gives an endless overload up as refused, after a bounded number of tries", async () => {
    const { last, sends } = await run({ replies: [busy] });
    expect(last()?.kind).toBe("refused");
    expect(sends()).toBe(writeBounds.busyAttemptsMax);
  });

  it("follows a named transaction to its outcome and fetches the answer", async () => {
    const { kinds, asks, sends, last } = await run({
      replies: [doubt("t1"), done],
      outcomes: ["unknown", "unanswered", "committed"],
    });
    expect(kinds).toEqual(["sending", "unknown", "committed"]);
    expect(asks()).toBe(3);
    expect(sends()).toBe(2);
    expect(last()).toMatchObject({ value: "stored" });
  });

  it("repeats without a transaction until it is answered", async () => {
    const { kinds, sends } = await run({ replies: ["throw", "throw", done] });
    expect(kinds).toEqual(["sending", "unknown", "committed"]);
    expect(sends()).toBe(3);
  });

  it("sends again after an abort, and gives up after several", async () => {
    expect((await run({ replies: [doubt("t1"), done], outcomes: ["aborted"] })).last()?.kind).toBe("committed");
    const endless = await run({ replies: [doubt("t1")], outcomes: ["aborted"] });
    expect(endless.last()?.kind).toBe("refused");
    expect(endless.sends()).toBe(writeBounds.abortsMax);
  });

  it("repeats when the server no longer knows the transaction", async () => {
    const { last, sends } = await run({ replies: [doubt("t1"), done], outcomes: ["forgotten"] });
    expect(last()?.kind).toBe("committed");
    expect(sends()).toBe(2);
  });

  it("is never called failed while it is unknown: an overload or a lost session settles nothing", async () => {
    const { last } = await run({ replies: [doubt(null), busy] });
    expect(last()).toMatchObject({ kind: "unknown", paused: true });
    expect((await run({ replies: [doubt(null), refused(401)] })).last()).toMatchObject({ kind: "unknown", paused: true });
  });

  it("pauses after a bounded number of questions and goes on when asked", async () => {
    const paused = await run({ replies: ["throw"] });
    expect(paused.last()).toMatchObject({ kind: "unknown", paused: true });
    expect(paused.sends()).toBe(writeBounds.asksMax + 1);
    paused.writer.ask();
    expect(paused.last()).toMatchObject({ kind: "unknown", paused: false });
  });

  it("starts as unknown when it is found after a reload", async () => {
    const { kinds, sends } = await run({ replies: [done] }, { transaction: null });
    expect(kinds).toEqual(["unknown", "committed"]);
    expect(sends()).toBe(1);
  });

  it("asks for its transaction first when it is found with one", async () => {
    const found = { transaction: "t1" };
    const { kinds, asks, sends } = await run({ replies: [done], outcomes: ["unknown", "aborted"] }, found);
    expect(kinds).toEqual(["unknown", "committed"]);
    expect([asks(), sends()]).toEqual([2, 1]);
  });

  it("lapses when it may not be repeated any more and nobody knows its transaction", async () => {
    const lapsed: Reply<string> = { kind: "lapsed" };
    expect((await run({ replies: [lapsed] }, { transaction: null })).kinds).toEqual(["unknown", "lapsed"]);
    expect((await run({ replies: ["throw", lapsed] })).kinds).toEqual(["sending", "unknown", "lapsed"]);
    expect((await run({ replies: [lapsed], outcomes: ["forgotten"] }, { transaction: "t1" })).kinds).toEqual(["unknown", "lapsed"]);
    const committed = await run({ replies: [lapsed], outcomes: ["committed"] }, { transaction: "t1" });
    expect(committed.kinds).toEqual(["unknown", "committed"]);
    expect(committed.sends()).toBe(1);
  });

  it("stays committed while its answer cannot be fetched", async () => {
    const { last, sends } = await run({ replies: [doubt("t1"), "throw"], outcomes: ["committed"] });
    expect(last()).toMatchObject({ kind: "committed", value: null });
    expect(sends()).toBe(writeBounds.answerFetchesMax + 2);
  });

  it("ignores what comes after its end", () => {
    const [state] = stepWrite(startWrite<string>()[0], { kind: "reply", reply: refused(403) });
    expect(stepWrite(state, { kind: "reply", reply: done })[0]).toBe(state);
  });
});

describe("an answer", () => {
  const headers = (fields: Record<string, string> = {}) => new Headers(fields);

  it("503 with a transaction is doubt, without one busy", () => {
    expect(refusalOf(503, headers(), { title: "x", transaction: "t9" })).toEqual({ kind: "doubt", transaction: "t9" });
    expect(refusalOf(503, headers({ "Retry-After": "2" }), { title: "x" })).toMatchObject({
      kind: "busy",
      retryAfterMs: 2000,
    });
  });

  it("409 is busy when it was contention, whatever transaction the header names, and a refusal otherwise", () => {
    const fields = { "Retry-After": "1", "Skein-Transaction": "3-7" };
    expect(refusalOf(409, headers(fields), { code: 718 })).toMatchObject({ kind: "busy", retryAfterMs: 1000 });
    expect(refusalOf(409, headers(), { code: 607 }).kind).toBe("refused");
  });

  it("any other server error leaves the outcome open, except the refusals among them", () => {
    expect(refusalOf(502, headers(), "<html>").kind).toBe("doubt");
    expect(refusalOf(500, headers(), {}).kind).toBe("doubt");
    expect(refusalOf(507, headers(), {}).kind).toBe("refused");
    expect(refusalOf(404, headers(), {}).kind).toBe("refused");
  });

  it("reads Retry-After as seconds or as a date", () => {
    expect(retryAfterMs("3")).toBe(3000);
    expect(retryAfterMs("Thu, 01 Jan 2026 00:00:05 GMT", Date.UTC(2026, 0, 1))).toBe(5000);
    expect(retryAfterMs("soon")).toBeNull();
    expect(retryAfterMs(null)).toBeNull();
  });
});
