import { describe, expect, it } from "vitest";
import type { Tweet } from "../api/client.ts";
import { appendOlder, compare, firstPage, mergeNewest, place, remove, reveal, unseen, type Timeline } from "./timeline.ts";

/** Tweet number n, written in second n. */
function tweet(n: number, version = 1): Tweet {
  return {
    id: `id-${String(n).padStart(4, "0")}`,
    author: "ada",
    text: `tweet ${n}`,
    created_at: new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString(),
    edited_at: null,
    version,
  };
}

/** Tweets from `newest` down to `oldest`. */
function down(newest: number, oldest: number): Tweet[] {
  return Array.from({ length: newest - oldest + 1 }, (_, i) => tweet(newest - i));
}

const numbers = (tweets: readonly Tweet[]) => tweets.map((t) => Number(t.id.slice(3)));
const start = (): Timeline => firstPage({ tweets: down(10, 6), next: "6" });

describe("mergeNewest", () => {
  it("keeps new tweets aside until they are asked for", () => {
    const merged = mergeNewest(start(), { tweets: down(12, 8), next: "8" });
    expect(numbers(merged.shown)).toEqual([10, 9, 8, 7, 6]);
    expect(numbers(unseen(merged))).toEqual([12, 11]);
    expect(numbers(reveal(merged).shown)).toEqual([12, 11, 10, 9, 8, 7, 6]);
    expect(reveal(merged).next).toBe("6");
  });

  it("answers the very same timeline when nothing changed", () => {
    const timeline = start();
    expect(mergeNewest(timeline, { tweets: down(10, 6), next: "6" })).toBe(timeline);
  });

  it("takes over edits in place, and never an older version", () => {
    const edited = { ...tweet(9, 2), text: "edited" };
    const page = { tweets: [tweet(10), edited, tweet(8), tweet(7), tweet(6)], next: "6" };
    const merged = mergeNewest(start(), page);
    expect(merged.shown[1]?.text).toBe("edited");
    expect(mergeNewest(merged, { tweets: down(10, 6), next: "6" }).shown[1]?.text).toBe("edited");
  });

  it("drops what was deleted inside the page's stretch, and only there", () => {
    const timeline = appendOlder(start(), { tweets: down(5, 1), next: null });
    const merged = mergeNewest(timeline, { tweets: [tweet(10), tweet(8), tweet(7)], next: "7" });
    expect(numbers(merged.shown)).toEqual([10, 8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it("sees a tweet that surfaces between known ones", () => {
    const timeline = firstPage({ tweets: [tweet(10), tweet(8)], next: null });
    const merged = mergeNewest(timeline, { tweets: down(10, 8), next: null });
    expect(numbers(unseen(merged))).toEqual([9]);
    expect(numbers(reveal(merged).shown)).toEqual([10, 9, 8]);
  });

  it("starts over when the newest page no longer joins what is shown", () => {
    const merged = mergeNewest(start(), { tweets: down(30, 26), next: "26" });
    expect(numbers(merged.shown)).toEqual([10, 9, 8, 7, 6]);
    const revealed = reveal(merged);
    expect(numbers(revealed.shown)).toEqual([30, 29, 28, 27, 26]);
    expect(revealed.next).toBe("26");
  });

  it("joins through new tweets seen in an earlier round", () => {
    const once = mergeNewest(start(), { tweets: down(14, 10), next: "10" });
    const twice = mergeNewest(once, { tweets: down(18, 14), next: "14" });
    expect(numbers(reveal(twice).shown)).toEqual([18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6]);
  });

  it("is not fooled by the reader's own tweet into closing a gap", () => {
    const withOwn = place(start(), tweet(30));
    const merged = mergeNewest(withOwn, { tweets: down(30, 26), next: "26" });
    expect(numbers(unseen(merged))).toEqual([29, 28, 27, 26]);
    const again = mergeNewest(merged, { tweets: down(31, 27), next: "27" });
    const revealed = reveal(again);
    expect(numbers(revealed.shown)).toEqual([31, 30, 29, 28, 27, 26]);
    expect(revealed.next).toBe("26");
  });

  it("empties when everything is gone", () => {
    expect(mergeNewest(start(), { tweets: [], next: null }).shown).toEqual([]);
  });
});

describe("appendOlder", () => {
  it("continues at the cursor without repeating a tweet", () => {
    const timeline = appendOlder(start(), { tweets: down(6, 2), next: "2" });
    expect(numbers(timeline.shown)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2]);
    expect(timeline.next).toBe("2");
  });
});

describe("place and remove", () => {
  it("shows the reader's own tweet at once, and once", () => {
    const polled = mergeNewest(start(), { tweets: down(11, 7), next: "7" });
    const placed = place(polled, tweet(11));
    expect(numbers(placed.shown)).toEqual([11, 10, 9, 8, 7, 6]);
    expect(unseen(placed)).toEqual([]);
    expect(numbers(mergeNewest(placed, { tweets: down(11, 7), next: "7" }).shown)).toEqual([11, 10, 9, 8, 7, 6]);
  });

  it("does not go back to an older version", () => {
    const edited = place(start(), { ...tweet(9, 3), text: "third" });
    expect(place(edited, { ...tweet(9, 2), text: "second" }).shown[1]?.text).toBe("third");
  });

  it("removes", () => {
    expect(numbers(remove(start(), "id-0008").shown)).toEqual([10, 9, 7, 6]);
  });
});

describe("compare", () => {
  it("lists in the order of ids, as the server does, whatever the clocks said", () => {
    const late = { ...tweet(1), created_at: tweet(5).created_at };
    expect(compare(late, tweet(2))).toBeGreaterThan(0);
    expect(compare(tweet(2), late)).toBeLessThan(0);
    expect(compare(late, late)).toBe(0);
  });
});
