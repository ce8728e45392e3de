import { describe, expect, it } from "vitest";
import type { ClusterStatus } from "../api/client.ts";
import { addressOf, learnerOf, lost, memberOf, otherOf, well } from "./status.fixture.ts";
import { workersOf } from "./workers.ts";

const distrusted = { ...well.comparison, distrusted: [{ node: memberOf(3).node, address: addressOf(3) }] };

/** What the card of the third worker says. */
function third(status: ClusterStatus) {
  const { key: _, address, ...told } = workersOf(status)[2] ?? expect.fail("there are three");
  expect(address).toBe(addressOf(3));
  return told;
}

it("keeps each worker in its place and under its key, whatever part it plays", () => {
  const stages = [
    well,
    { ...lost, others: [otherOf(3, "silent")] },
    { ...lost, others: [otherOf(3, "waiting")] },
    { ...lost, learners: [learnerOf(3)] },
    { ...well, members: [memberOf(3), memberOf(2), memberOf(1)] },
  ] satisfies ClusterStatus[];
  const keys = workersOf(well).map(({ key }) => key);
  expect(workersOf(well).map(({ address }) => address)).toEqual(well.roster);
  expect(new Set(keys).size).toBe(3);
  for (const stage of stages) expect(workersOf(stage).map(({ key }) => key)).toEqual(keys);
});

it("follows the order of the roster, then that of the addresses, and tells two at one address apart", () => {
  const stranger = { ...otherOf(1, "foreign"), address: "127.0.0.1:10001" };
  const status: ClusterStatus = {
    ...lost,
    roster: [3, 1, 2].map(addressOf),
    learners: [learnerOf(3)],
    others: [stranger, otherOf(2, "waiting"), otherOf(9, "foreign")],
  };
  const workers = workersOf(status);
  const places = [3, 1, 2, 2, 9].map(addressOf);
  expect(workers.map(({ address }) => address)).toEqual([...places, stranger.address]);
  expect(workers.map(({ part }) => part)).toEqual(["learner", "member", "member", "other", "other", "other"]);
  expect(new Set(workers.map(({ key }) => key)).size).toBe(workers.length);
});

it.each([
  [{ members: [memberOf(1), memberOf(2), memberOf(3)] }, "good", "member"],
  [{ members: [memberOf(1), memberOf(2), memberOf(3, { connected: false })] }, "bad", "member, not connected"],
  [{ members: [memberOf(1), memberOf(2), memberOf(3)], comparison: distrusted }, "bad", "member, not trusted"],
  [
    { members: [memberOf(1), memberOf(2), memberOf(3, { connected: false })], comparison: distrusted },
    "bad",
    "member, not connected, not trusted",
  ],
  [{ learners: [learnerOf(3)] }, "warn", "learner"],
  [{ learners: [learnerOf(3)], comparison: distrusted }, "warn", "learner, being made anew"],
  [{ learners: [learnerOf(3, { connected: false })] }, "bad", "learner, not connected"],
  [{ others: [otherOf(3, "silent")] }, "bad", "nobody answers"],
  [{ others: [otherOf(3, "waiting")] }, "warn", "waits to be taken in"],
  [{ others: [otherOf(3, "foreign")] }, "bad", "not taken in"],
] satisfies [Partial<ClusterStatus>, string, string][])("tells what a worker is: %#", (change, tone, state) => {
  expect(third({ ...lost, ...change })).toMatchObject({ tone, state });
});

it("says of each that is no member what becomes of it", () => {
  const prospects = (["silent", "waiting", "foreign"] as const).map((state) => {
    const told = third({ ...lost, others: [otherOf(3, state)] });
    return told.part === "other" ? told.prospect : expect.fail("it is no member");
  });
  expect(prospects).toEqual([
    expect.stringContaining("Whoever answers is taken in."),
    expect.stringContaining("taken in soon"),
    expect.stringContaining("belongs to another cluster"),
  ]);
});

describe("how far a learner is", () => {
  it.each([
    [{}, "Copying from 127.0.0.1:7001", "125 of 500 records", 125, 500],
    [{ donor: memberOf(9).node }, "Copying", "125 of 500 records", 125, 500],
    [{ records_copied: 500 }, "Copying from 127.0.0.1:7001", "500 of 500 records", 500, 500],
    [{ records_copied: 503 }, "Copying from 127.0.0.1:7001", "500 of 500 records", 500, 500],
    [{ records_copied: 0, records_total: 1 }, "Copying from 127.0.0.1:7001", "0 of 1 record", 0, 1],
    [{ records_copied: 0, records_total: 0 }, "Copying from 127.0.0.1:7001", "no records yet", 0, 0],
    [{ donor: null, records_total: 0 }, "Waiting for a member to copy from", "no records yet", 0, 0],
    [{ donor: undefined, records_total: 0 }, "Waiting for a member to copy from", "no records yet", 0, 0],
  ])("%j", (change, label, text, value, max) => {
    expect(third({ ...lost, learners: [learnerOf(3, change as object)] })).toMatchObject({
      copying: { label, text, value, max },
    });
  });
});
