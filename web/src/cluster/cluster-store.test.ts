import { expect, it } from "vitest";
import type { ClusterStatus } from "../api/client.ts";
import { ClusterStore, currentForMs, type ClusterPorts } from "./cluster-store.ts";
import { well } from "./status.fixture.ts";

type Answer = Awaited<ReturnType<ClusterPorts["ask"]>>;

function world() {
  const asked: { answer(status: ClusterStatus | number): void; fail(): void }[] = [];
  const timers = new Set<{ delayMs: number; call: () => void }>();
  const clock = { nowMs: 1_000 };
  const store = new ClusterStore({
    ask: () =>
      new Promise<Answer>((resolve, reject) => {
        const answer = (status: ClusterStatus | number) =>
          resolve(
            typeof status === "number"
              ? { error: { title: "No" }, response: new Response(null, { status }) }
              : { data: status, response: new Response() },
          );
        asked.push({ answer, fail: () => reject(new TypeError("gone")) });
      }),
    now: () => clock.nowMs,
    after: (delayMs, call) => {
      const timer = { delayMs, call };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  });
  return { store, asked, timers, clock };
}

it("holds what it was told for a moment, and withdraws it unless it is told again", async () => {
  const { store, asked, timers } = world();
  const answered = store.refresh();
  asked[0]?.answer(well);
  expect(await answered).toBe(true);
  expect(store.state).toEqual({ known: { status: well, atMs: 1_000 }, current: true, failure: null });
  const [timer] = timers;
  expect(timer?.delayMs).toBe(currentForMs);
  timer?.call();
  expect(store.state).toEqual({ known: { status: well, atMs: 1_000 }, current: false, failure: null });
});

it("withdraws at once when the server does not answer or cannot say, and keeps when it last did", async () => {
  const { store, asked, timers, clock } = world();
  void store.refresh();
  asked[0]?.answer(well);
  await Promise.resolve();
  for (const fail of [() => asked.at(-1)?.fail(), () => asked.at(-1)?.answer(503)]) {
    clock.nowMs += 1_500;
    const answered = store.refresh();
    fail();
    expect(await answered).toBe(false);
    expect(store.state).toMatchObject({ known: { atMs: 1_000 }, current: false });
    expect(store.state.failure).not.toBeNull();
    expect(timers.size).toBe(0);
  }
  clock.nowMs = 9_000;
  void store.refresh();
  asked.at(-1)?.answer(well);
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(store.state).toEqual({ known: { status: well, atMs: 9_000 }, current: true, failure: null });
});

it("does not take an answer for news that was long on its way", async () => {
  const { store, asked, clock } = world();
  const answered = store.refresh();
  clock.nowMs += currentForMs;
  asked[0]?.answer(well);
  expect(await answered).toBe(true);
  expect(store.state).toMatchObject({ known: { atMs: 1_000 }, current: false });
});
