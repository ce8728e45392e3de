import { expect, it } from "vitest";
import type { BookmarkedTweet } from "../api/client.ts";
import { withFirst, without, withOlder, type BookmarkList } from "./bookmark-list.ts";

/** Bookmark number n, made in second n. */
function bookmark(n: number, made = n): BookmarkedTweet {
  return { tweet_id: `tweet-${n}`, created_at: `2026-01-01T00:00:${String(made).padStart(2, "0")}.000000Z`, tweet: null };
}

/** Bookmarks from `newest` down to `oldest`. */
function down(newest: number, oldest: number): BookmarkedTweet[] {
  return Array.from({ length: newest - oldest + 1 }, (_, i) => bookmark(newest - i));
}

const ids = ({ shown }: BookmarkList) => shown.map(({ tweet_id }) => Number(tweet_id.slice(6)));
const page = (bookmarks: BookmarkedTweet[], next: string | null) => ({ bookmarks, next });
const long = (): BookmarkList => withOlder(withFirst(null, page(down(10, 6), "6")), page(down(5, 3), "3"));

it("continues below without repeating a bookmark", () => {
  expect(ids(long())).toEqual([10, 9, 8, 7, 6, 5, 4, 3]);
  const overlapping = withOlder(long(), page(down(4, 1), null));
  expect(ids(overlapping)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(overlapping.next).toBeNull();
});

it("keeps what was loaded below when the first page is loaded again", () => {
  const again = withFirst(long(), page(down(12, 8), "8"));
  expect(ids(again)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
  expect(again.next).toBe("3");
});

it("drops what was removed elsewhere in the stretch of the page", () => {
  expect(ids(withFirst(long(), page([bookmark(10), bookmark(8), bookmark(7)], "7")))).toEqual([10, 8, 7, 6, 5, 4, 3]);
  expect(ids(withFirst(long(), page([bookmark(10)], null)))).toEqual([10]);
});

it("starts over when the first page no longer reaches what is shown, so that nothing between is left out", () => {
  const over = withFirst(long(), page(down(30, 26), "26"));
  expect(ids(over)).toEqual([30, 29, 28, 27, 26]);
  expect(over.next).toBe("26");
  // A tweet that was marked again elsewhere is another mark: it proves nothing.
  expect(ids(withFirst(long(), page([...down(30, 27), bookmark(4, 26)], "26")))).toEqual([30, 29, 28, 27, 4]);
});

it("leaves one out", () => {
  expect(ids(without(long(), "tweet-9"))).toEqual([10, 8, 7, 6, 5, 4, 3]);
});
