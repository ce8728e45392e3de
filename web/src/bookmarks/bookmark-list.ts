/**
 * The list of bookmarks as data: the newest mark first, as far as it has been loaded. Times have six digits behind the second, so
 * that they compare as text.
 */
import type { BookmarkedTweet, BookmarkPage } from "../api/client.ts";

export interface BookmarkList {
  readonly shown: readonly BookmarkedTweet[];
  /** Where the list continues below; null at its end. */
  readonly next: string | null;
}

/** The list after its first page was loaded again: what is below the page stays, if the page reaches down to it. */
export function withFirst(list: BookmarkList | null, page: BookmarkPage): BookmarkList {
  const first = { shown: page.bookmarks, next: page.next };
  const last = page.bookmarks.at(-1);
  if (list === null || page.next === null || last === undefined) return first;
  const reaches = list.shown.some((known) => page.bookmarks.some((listed) => sameMark(known, listed)));
  const listed = new Set(page.bookmarks.map(({ tweet_id }) => tweet_id));
  const below = list.shown.filter(({ tweet_id, created_at }) => created_at < last.created_at && !listed.has(tweet_id));
  return reaches && below.length > 0 ? { shown: [...page.bookmarks, ...below], next: list.next } : first;
}

/** The list with the next page below. */
export function withOlder(list: BookmarkList, page: BookmarkPage): BookmarkList {
  const known = new Set(list.shown.map(({ tweet_id }) => tweet_id));
  return { shown: [...list.shown, ...page.bookmarks.filter(({ tweet_id }) => !known.has(tweet_id))], next: page.next };
}

export function without(list: BookmarkList, tweet: string): BookmarkList {
  return { ...list, shown: list.shown.filter(({ tweet_id }) => tweet_id !== tweet) };
}

function sameMark(a: BookmarkedTweet, b: BookmarkedTweet): boolean {
  return a.tweet_id === b.tweet_id && a.created_at === b.created_at;
}
