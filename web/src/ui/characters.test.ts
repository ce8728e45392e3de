import { describe, expect, it } from "vitest";
import { characterCount, roomFor } from "./characters.ts";

describe("characterCount", () => {
  it.each([
    ["", 0],
    ["goose", 5],
    ["gänse", 5],
    ["ga\u0308nse", 6],
    ["🪿", 1],
    ["👩‍👩‍👧", 5],
    ["a\nb", 3],
  ])("counts Unicode scalar values in %j", (text, count) => {
    expect(characterCount(text)).toBe(count);
  });
});

describe("roomFor", () => {
  it.each([
    [0, "plenty"],
    [79, "plenty"],
    [80, "little"],
    [99, "little"],
    [100, "none"],
    [101, "over"],
  ] as const)("at %i of 100 says %s", (count, room) => {
    expect(roomFor(count, 100)).toBe(room);
  });
});
