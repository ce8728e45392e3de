/**
 * The timeline as data: what is shown, what is new but not yet shown, and where older tweets continue.
 *
 * Order is newest first. What the reader sees moves only when the reader asks: tweets found by
 * polling wait in `fresh`, while edits and deletions of shown tweets are taken over in place. When more tweets
 * are new than one page holds, the page no longer joins what is known; `gap` remembers that, and revealing then
 * starts the list over from the newest page, so that nothing in between is left out. A tweet that the reader just
 * wrote stands above whatever came in between, so it does not prove that a page joins: `placed` keeps such ids.
 */
import type { Tweet, TweetPage } from "../api/client.ts";

export interface Timeline {
  readonly shown: readonly Tweet[];
  /** New tweets; with a gap the whole newest stretch, the reader's own tweets in it included. */
  readonly fresh: readonly Tweet[];
  /** Where the list below `shown` continues; null at its end. */
  readonly next: string | null;
  /** Set when `fresh` does not join `shown`: where the list below `fresh` continues. */
  readonly gap: { readonly next: string | null } | null;
  readonly placed: readonly string[];
}

export function firstPage(page: TweetPage): Timeline {
  return { shown: ordered(page.tweets), fresh: [], next: page.next ?? null, gap: null, placed: [] };
}

/** Takes in the newest page, asked for again. */
export function mergeNewest(timeline: Timeline, page: TweetPage): Timeline {
  const pageNext = page.next ?? null;
  const shownIds = idsOf(timeline.shown);
  const freshIds = idsOf(timeline.fresh);
  const proves = (id: string) => !timeline.placed.includes(id);
  const joinsShown = pageNext === null || page.tweets.some(({ id }) => shownIds.has(id) && proves(id));
  const joinsFresh = page.tweets.some(({ id }) => freshIds.has(id) && proves(id));
  if (!joinsShown && !joinsFresh) return { ...timeline, fresh: ordered(page.tweets), gap: { next: pageNext } };

  const listed = new Map(page.tweets.map((tweet) => [tweet.id, tweet]));
  const oldest = ordered(page.tweets).at(-1);
  const covers = (tweet: Tweet) => pageNext === null || (oldest !== undefined && compare(tweet, oldest) <= 0);
  const current = (tweets: readonly Tweet[]) =>
    tweets.filter((tweet) => listed.has(tweet.id) || !covers(tweet)).map((tweet) => newer(tweet, listed.get(tweet.id)));

  const gap = joinsShown ? null : timeline.gap;
  const fresh = ordered([...current(timeline.fresh), ...page.tweets.filter(({ id }) => !freshIds.has(id))]);
  const merged: Timeline = {
    shown: current(timeline.shown),
    fresh: gap === null ? fresh.filter(({ id }) => !shownIds.has(id)) : fresh,
    next: timeline.next,
    gap,
    placed: gap === null ? timeline.placed.filter((id) => !listed.has(id)) : timeline.placed,
  };
  return same(timeline, merged) ? timeline : merged;
}

/** The new tweets that revealing would add. */
export function unseen(timeline: Timeline): readonly Tweet[] {
  const shownIds = idsOf(timeline.shown);
  return timeline.fresh.filter(({ id }) => !shownIds.has(id));
}

/** Puts an older page below. */
export function appendOlder(timeline: Timeline, page: TweetPage): Timeline {
  const known = new Set([...timeline.shown, ...timeline.fresh].map((tweet) => tweet.id));
  const older = page.tweets.filter((tweet) => !known.has(tweet.id));
  return { ...timeline, shown: ordered([...timeline.shown, ...older]), next: page.next ?? null };
}

/** Shows what is new. */
export function reveal(timeline: Timeline): Timeline {
  if (timeline.gap !== null) {
    return { shown: timeline.fresh, fresh: [], next: timeline.gap.next, gap: null, placed: [] };
  }
  return { ...timeline, shown: ordered([...timeline.shown, ...timeline.fresh]), fresh: [] };
}

/** Takes over a tweet that the reader wrote or changed: it is shown at once. */
export function place(timeline: Timeline, tweet: Tweet): Timeline {
  const isThis = ({ id }: Tweet) => id === tweet.id;
  const latest = newer(tweet, timeline.shown.find(isThis) ?? timeline.fresh.find(isThis));
  const fresh = timeline.fresh.filter((other) => !isThis(other));
  const isNew = !timeline.shown.some(isThis) && !timeline.fresh.some(isThis);
  return {
    ...timeline,
    shown: ordered([...timeline.shown.filter((other) => !isThis(other)), latest]),
    fresh: timeline.gap === null ? fresh : ordered([...fresh, latest]),
    placed: isNew ? [...timeline.placed, tweet.id] : timeline.placed,
  };
}

export function remove(timeline: Timeline, id: string): Timeline {
  return {
    ...timeline,
    shown: timeline.shown.filter((tweet) => tweet.id !== id),
    fresh: timeline.fresh.filter((tweet) => tweet.id !== id),
  };
}

/** Negative when `a` is listed before `b`: ids are in the order of time (UUID version 7), and lists in that of ids. */
export function compare(a: Tweet, b: Tweet): number {
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

function idsOf(tweets: readonly Tweet[]): Set<string> {
  return new Set(tweets.map(({ id }) => id));
}

function ordered(tweets: readonly Tweet[]): Tweet[] {
  return [...tweets].sort(compare);
}

function newer(a: Tweet, b: Tweet | undefined): Tweet {
  return b !== undefined && b.version > a.version ? b : a;
}

function same(a: Timeline, b: Timeline): boolean {
  const lists = (x: readonly Tweet[], y: readonly Tweet[]) => x.length === y.length && x.every((t, i) => t === y[i]);
  const placed = a.placed.length === b.placed.length;
  return placed && a.next === b.next && a.gap === b.gap && lists(a.shown, b.shown) && lists(a.fresh, b.fresh);
}
