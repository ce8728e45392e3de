/**
 * How long a text is: in Unicode scalar values, as the server counts, not in UTF-16 units as JavaScript does.
 */
export function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

export type Room = "plenty" | "little" | "none" | "over";

/** How the count is to be shown and spoken. */
export function roomFor(count: number, max: number): Room {
  if (count > max) return "over";
  if (count === max) return "none";
  return max - count <= Math.min(20, Math.floor(max / 5)) ? "little" : "plenty";
}
