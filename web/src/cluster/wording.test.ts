import { describe, expect, it } from "vitest";
import type { ClusterStatus } from "../api/client.ts";
import { bytesText, digestText, standingOf } from "./wording.ts";

const member = { node: "n1", address: "127.0.0.1:7001", connected: true, records: 1, bytes: 1, digest: "00" };
const other = { node: null, address: "127.0.0.1:7003", connected: false };
const status: ClusterStatus = {
  cluster: "c1",
  view: 3,
  pending_view: null,
  serving: true,
  durability: "memory",
  copies: 1,
  members: [member],
  others: [],
  replicas_agree: true,
  in_flight: 0,
  in_doubt: 0,
  queued: 0,
  reads: 0,
};

describe("standingOf", () => {
  it.each([
    [{}, "good", "Serving writes."],
    [{ in_doubt: 1 }, "warn", "Serving writes; 1 transaction is in doubt."],
    [{ members: [{ ...member, connected: false }, member] }, "warn", "Serving, with 1 of 2 members out of reach."],
    [{ others: [other] }, "warn", "Serving writes; 1 worker is not a member."],
    [{ others: [other, other] }, "warn", "Serving writes; 2 workers are not members."],
    [{ serving: false, pending_view: 4 }, "warn", "Changing to view 4."],
    [{ serving: false }, "warn", "Not serving writes."],
    [{ replicas_agree: false, serving: false }, "bad", "The replicas differ."],
  ] satisfies [Partial<ClusterStatus>, string, string][])("tells %j", (change, tone, text) => {
    expect(standingOf({ ...status, ...change })).toEqual({ tone, text });
  });
});

it("shows digests in groups", () => {
  expect(digestText("0123456789abcdef0123456789abcdef")).toBe("0123 4567 89ab cdef");
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
