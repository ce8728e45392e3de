import { describe, expect, it } from "vitest";
import type { ClusterStatus } from "../api/client.ts";
import { learnerOf, lost, memberOf, otherOf, well } from "./status.fixture.ts";
import {
  agreementText,
  bytesText,
  comparisonText,
  copiesText,
  digestText,
  durabilityText,
  needsPerson,
  summaryOf,
  withdrawnAgreement,
  withdrawnSummary,
} from "./wording.ts";

const gone = { connected: false };
const differing = { ...well.comparison, compared: 2, differences: 1 };
const undecided = { ...differing, undecided: true };
const distrusted = { ...differing, distrusted: [{ node: memberOf(3).node, address: memberOf(3).address }] };

describe("summaryOf", () => {
  it.each([
    [{}, "good", "Serving writes."],
    [{ full: true, in_doubt: 1 }, "warn", "The store is full: new posts are refused. Reading, deleting and logging in go on."],
    [{ full: true, serving: false }, "warn", "Not serving writes."],
    [{ in_doubt: 1 }, "warn", "Serving writes; 1 transaction is in doubt."],
    [{ in_doubt: 2 }, "warn", "Serving writes; 2 transactions are in doubt."],
    [{ members: [memberOf(1, gone), memberOf(2)] }, "warn", "Serving, with 1 of 2 members out of reach."],
    [{ ...lost, others: [otherOf(3, "silent")] }, "warn", "Serving writes, with 2 of 3 copies."],
    [{ ...lost, others: [otherOf(3, "waiting")] }, "warn", "Serving writes, with 2 of 3 copies."],
    [{ ...lost, learners: [learnerOf(3)] }, "warn", "Serving writes, with 2 of 3 copies; 1 more to come."],
    [
      { members: [memberOf(1)], learners: [learnerOf(2), learnerOf(3)] },
      "warn",
      "Serving writes, with 1 of 3 copies; 2 more to come.",
    ],
    [{ others: [otherOf(4, "foreign")] }, "warn", "Serving writes; 1 worker is not taken in."],
    [{ others: [otherOf(4, "foreign"), otherOf(5, "foreign")] }, "warn", "Serving writes; 2 workers are not taken in."],
    [{ comparison: distrusted }, "warn", "Serving writes; a copy is not trusted."],
    [{ serving: false, pending_view: 4 }, "warn", "Changing to view 4."],
    [{ serving: false }, "warn", "Not serving writes."],
    [
      { serving: false, pending_view: 4, replicas_agree: null, members: [memberOf(1, gone), memberOf(2, gone)] },
      "warn",
      "Not serving: no member can be reached. Any one of them that is back with its records is enough.",
    ],
    [{ serving: false, view: null, members: [], copies: 0, replicas_agree: null }, "warn", "Not serving writes."],
    [{ replicas_agree: false, serving: false }, "bad", "The replicas differ."],
    [{ replicas_agree: false, comparison: undecided }, "bad", "The replicas differ, and a person has to decide."],
    [{ replicas_agree: null, comparison: undecided }, "bad", "The replicas differ, and a person has to decide."],
  ] satisfies [Partial<ClusterStatus>, string, string][])("tells %#", (change, tone, text) => {
    expect(summaryOf({ ...well, ...change })).toEqual({ tone, text });
  });
});

it("withdraws what cannot be known any more, with the time until which it was", () => {
  expect(withdrawnSummary("15:04:05")).toEqual({ tone: "unknown", text: "Not known since 15:04:05." });
  const now = "Whether the replicas hold the same is not known.";
  expect(withdrawnAgreement(well, "15:04:05")).toBe(`${now} They did as of 15:04:05.`);
  expect(withdrawnAgreement({ ...well, replicas_agree: false }, "15:04:05")).toBe(`${now} They did not as of 15:04:05.`);
  expect(withdrawnAgreement({ ...well, replicas_agree: null }, "15:04:05")).toBe(now);
  expect(withdrawnAgreement({ ...well, members: [memberOf(1)] }, "15:04:05")).toBe(now);
});

it("asks for a person as long as the copies differ, and no longer", () => {
  expect(needsPerson(well)).toBe(false);
  expect(needsPerson({ ...well, replicas_agree: false, comparison: undecided })).toBe(true);
  expect(needsPerson({ ...well, replicas_agree: true, comparison: undecided })).toBe(false);
});

it("says what there is to say of the number of copies", () => {
  expect(copiesText(well)).toBe("One on each member.");
  expect(copiesText(lost)).toBe("Meant to be 3.");
  expect(copiesText({ ...well, roster: [] })).toBe("One on each member.");
  expect(copiesText({ ...well, members: [memberOf(1, gone), memberOf(2)] })).toBe("1 cannot be reached.");
  expect(copiesText({ ...well, members: [memberOf(1, gone)] })).toBe("None can be reached.");
});

it.each([
  [{}, "the replicas hold the same"],
  [{ replicas_agree: false }, "The digests differ."],
  [{ replicas_agree: null }, "cannot be compared at the moment"],
  [{ members: [memberOf(1)] }, "There is one copy"],
])("says what the digests on the page mean: %#", (change, text) => {
  expect(agreementText({ ...well, ...change })).toContain(text);
});

it("promises nothing of members that it has not met", () => {
  expect(durabilityText(null)).toBe("No member has said so far whether it logs.");
});

it.each([
  [{ compared: 0 }, "Not compared yet since this coordinator started."],
  [{ compared: 1 }, "Compared once since this coordinator started: all the same."],
  [{ compared: 12 }, "Compared 12 times since this coordinator started: all the same."],
  [
    { compared: 12, differences: 1, repaired: 1 },
    "Compared 12 times since this coordinator started. 1 copy differed or was damaged, and was made anew.",
  ],
  [
    { compared: 12, differences: 2, repaired: 2 },
    "Compared 12 times since this coordinator started. 2 copies differed or were damaged, and were made anew.",
  ],
  [
    { compared: 0, differences: 1, repaired: 0, distrusted: distrusted.distrusted },
    "Not compared yet since this coordinator started. A difference or damage was found once. " +
      "Not trusted, and made anew from another copy: 127.0.0.1:7003.",
  ],
  [
    { compared: 5, differences: 3, repaired: 1, distrusted: [{ node: "0123456789abcdef", address: null }] },
    "Compared 5 times since this coordinator started. A difference or damage was found 3 times, and 1 copy was made anew. " +
      "Not trusted, and made anew from another copy: node 01234567.",
  ],
  [
    { compared: 5, differences: 4, repaired: 2 },
    "Compared 5 times since this coordinator started. A difference or damage was found 4 times, and 2 copies were made anew.",
  ],
])("says what the comparisons have found: %#", (change, text) => {
  expect(comparisonText({ ...well.comparison, ...change })).toBe(text);
});

it("shows the half of a digest that differs, in groups", () => {
  expect(digestText("000000000000000a0123456789abcdef")).toBe("0123 4567 89ab cdef");
  expect(digestText(null)).toBe("unknown");
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [123_456, "123 kB"],
  [1_500_000, "1.5 MB"],
])("shows %i bytes as %s", (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});
