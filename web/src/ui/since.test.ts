import { expect, it } from "vitest";
import { momentText, sinceText } from "./since.ts";

const now = Date.UTC(2026, 5, 15, 12);

it.each([
  [0, "now"],
  [59_999, "now"],
  [-5_000, "now"],
  [60_000, "1 min"],
  [3_599_999, "59 min"],
  [3_600_000, "1 h"],
  [86_400_000, "1 d"],
  [6 * 86_400_000, "6 d"],
])("tells %i ms ago as %s", (ageMs, text) => {
  expect(sinceText(now - ageMs, now)).toBe(text);
});

it("tells the year only of another year", () => {
  expect(sinceText(now - 20 * 86_400_000, now)).not.toContain("2026");
  expect(sinceText(now - 400 * 86_400_000, now)).toContain("2025");
});

it("tells a moment to the second, and the day of another day", () => {
  const noon = new Date(2026, 5, 15, 12, 0, 5).getTime();
  expect(momentText(noon, noon + 60_000)).toMatch(/^12:00:05/);
  expect(momentText(noon, noon + 86_400_000)).toMatch(/2026.*12:00:05/);
});
