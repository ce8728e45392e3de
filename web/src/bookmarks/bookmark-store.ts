/**
 * One logged-in person's bookmarks, living as long as the session: which tweets are marked, as far as somebody wanted to know,
 * the list page by page, and the writes under way. A write is repeated under its key until its fate is known, as those of tweets are.
 * It is not kept on the device: what is pressed while there is no network is refused at once, and can be pressed again.
 */
import { api, type BookmarkPage } from "../api/client.ts";
import { connection } from "../api/connection.ts";
import { newIdempotencyKey } from "../api/idempotency.ts";
import { idle, load, loading, type Loaded, type Loading } from "../api/loading.ts";
import { browserPorts, poll, type PollPorts } from "../api/poll.ts";
import { explain, problemFrom } from "../api/problem.ts";
import { outcomeOf, replyOf } from "../api/reply.ts";
import { Store } from "../store.ts";
import type { Reply, WriteState } from "../api/write.ts";
import { Writer } from "../api/writer.ts";
import { announce } from "../ui/announcer.ts";
import { withFirst, without, withOlder, type BookmarkList } from "./bookmark-list.ts";

export interface BookmarksState {
  /** Whether a tweet is marked, of those that were asked about. */
  readonly known: ReadonlyMap<string, boolean>;
  /** What is to become of the tweets whose writes are under way: marked, or not. */
  readonly underWay: ReadonlyMap<string, boolean>;
  /** Why the last write of a tweet's mark came to nothing. */
  readonly faults: ReadonlyMap<string, string>;
  /** Null until the first page is there. */
  readonly list: BookmarkList | null;
  readonly first: Loading;
  readonly older: Loading;
}

/** What the store has to know of the session. */
export interface BookmarkSession {
  /** Whether a request that is sent now is sent in this person's name; rejects when the server doesn't say. */
  isStill(): Promise<boolean>;
  lost(): void;
}

/** The server takes so many tweets in one question. */
const tweetsAskedMax = 32;

/** Grows with each question that is not answered, as that of every poll. */
const unansweredPauseMs = 2_000;

const pageBookmarks = 50;
const offline = "You are offline. Nothing was changed.";
const notKnown = "Whether this took effect is not known. Try again.";

export function isMarked({ underWay, known }: BookmarksState, tweet: string): boolean {
  return underWay.get(tweet) ?? known.get(tweet) ?? false;
}

/** What the list has to say of itself when it has no bookmark to show; null while it has some, or may have some further down. */
export function insteadOfList({ list, first }: BookmarksState): "waiting" | "failed" | "none" | null {
  if (list !== null && (list.shown.length > 0 || list.next !== null)) return null;
  if (first.kind === "failed") return "failed";
  // What was empty before may not be so when it has been loaded again.
  return list === null || first.kind === "loading" ? "waiting" : "none";
}

export class BookmarkStore extends Store<BookmarksState> {
  private readonly asked = new Set<string>();
  /** Of those asked about, the ones whose question has to be put, for the first time or again. */
  private readonly wondering = new Set<string>();
  private stopAsking: (() => void) | null = null;
  private readonly writers = new Map<string, Writer<true>>();
  private writes = 0;
  private closed = false;

  constructor(
    private readonly session: BookmarkSession,
    private readonly ports: PollPorts = browserPorts,
  ) {
    super({ known: new Map(), underWay: new Map(), faults: new Map(), list: null, first: idle, older: idle });
  }

  /**
   * Finds out whether this tweet is marked, together with all that are asked about in the same moment. It is asked until an answer
   * comes, and not again after that.
   */
  wonder(tweet: string): void {
    if (this.closed || this.asked.has(tweet)) return;
    this.asked.add(tweet);
    this.wondering.add(tweet);
    this.stopAsking ??= poll(() => this.learn(), unansweredPauseMs, this.ports);
  }

  /** Asks about all that have no answer yet; resolves to whether every question was answered. */
  private async learn(): Promise<boolean> {
    // Whatever else is wondered about in this moment comes along.
    await Promise.resolve();
    while (this.wondering.size > 0 && !this.closed) {
      const part = [...this.wondering].slice(0, tweetsAskedMax);
      if (!(await this.learnAbout(part))) return false;
    }
    this.stopAsking?.();
    this.stopAsking = null;
    return true;
  }

  private async learnAbout(tweets: readonly string[]): Promise<boolean> {
    for (const tweet of tweets) this.wondering.delete(tweet);
    const loaded = await this.fetch({ tweets: tweets.join(",") });
    if (loaded.kind === "failed") {
      for (const tweet of tweets) this.wondering.add(tweet);
      return false;
    }
    const marked = new Set(loaded.value.bookmarks.map(({ tweet_id }) => tweet_id));
    // What the person did meanwhile is newer than the answer.
    const news = tweets.filter((tweet) => !this.state.known.has(tweet));
    this.know(news.map((tweet) => [tweet, marked.has(tweet)]));
    return true;
  }

  /** Loads the newest page. */
  async refresh(): Promise<void> {
    this.set({ ...this.state, first: loading });
    const writes = this.writes;
    const loaded = await this.fetch({ limit: pageBookmarks });
    if (this.closed) return;
    if (loaded.kind === "failed") this.set({ ...this.state, first: loaded });
    // It may show the time before a write that is settled by now.
    else if (writes !== this.writes) await this.refresh();
    else this.show(withFirst(this.state.list, loaded.value), { first: idle });
  }

  /** Loads the next page; resolves to how many bookmarks came. */
  async loadOlder(): Promise<number> {
    const { list, older } = this.state;
    if (this.closed || list === null || list.next === null || older.kind === "loading") return 0;
    this.set({ ...this.state, older: loading });
    const writes = this.writes;
    const loaded = await this.fetch({ limit: pageBookmarks, cursor: list.next });
    const now = this.state.list;
    if (loaded.kind === "failed") {
      this.set({ ...this.state, older: loaded });
      return 0;
    }
    // The list was started over, or a mark was removed that the page may still have.
    if (now === null || now.next !== list.next || writes !== this.writes) {
      this.set({ ...this.state, older: idle });
      return this.loadOlder();
    }
    this.show(withOlder(now, loaded.value), { older: idle });
    return loaded.value.bookmarks.length;
  }

  /** Marks a tweet that is not marked, and the other way round. One write of a tweet's mark is under way at a time. */
  toggle(tweet: string): void {
    if (this.closed || this.state.underWay.has(tweet)) return;
    if (connection.state === "offline") return this.fail(tweet, offline);
    const becomes = !isMarked(this.state, tweet);
    const { underWay, faults } = this.state;
    this.set({ ...this.state, underWay: new Map(underWay).set(tweet, becomes), faults: removed(faults, tweet) });
    const key = newIdempotencyKey();
    const ports = { send: () => this.send(key, tweet, becomes), outcomeOf, after: this.ports.after };
    this.writers.set(tweet, Writer.start<true>(ports, (state) => this.became(tweet, becomes, state)));
  }

  /** Nothing is asked or repeated any more: the session has ended. */
  close(): void {
    this.closed = true;
    this.stopAsking?.();
    for (const writer of this.writers.values()) writer.stop();
  }

  private async send(key: string, tweet: string, becomes: boolean): Promise<Reply<true>> {
    if (!(await this.session.isStill())) return { kind: "refused", problem: problemFrom(401, { code: 700 }) };
    const params = { path: { tweet_id: tweet }, header: { "Idempotency-Key": key } };
    const path = "/api/bookmarks/{tweet_id}";
    const reply = await replyOf<unknown>(becomes ? api.PUT(path, { params }) : api.DELETE(path, { params }));
    if (reply.kind === "refused" && reply.problem.status === 401) this.session.lost();
    return reply.kind === "done" ? { kind: "done", value: true } : reply;
  }

  private became(tweet: string, becomes: boolean, state: WriteState<true>): void {
    if (this.closed || !this.state.underWay.has(tweet)) return;
    switch (state.kind) {
      case "committed":
        this.settle(tweet);
        this.know([[tweet, becomes]]);
        this.listFollows(tweet, becomes);
        announce(becomes ? "Bookmarked." : "Bookmark removed.");
        return;
      case "refused":
        this.settle(tweet);
        return this.fail(tweet, explain(state.problem));
      case "lapsed":
        return this.giveUp(tweet);
      case "unknown":
        if (state.paused) this.giveUp(tweet);
        else if (state.asked <= 1) announce("Whether this took effect is not known yet. Asking.");
        return;
    }
  }

  /** A mark that was made is in the list when that is loaded again, which a reload under way sees to by itself. */
  private listFollows(tweet: string, becomes: boolean): void {
    const { list, first } = this.state;
    if (list === null) return;
    if (!becomes) this.set({ ...this.state, list: without(list, tweet) });
    else if (first.kind !== "loading") void this.refresh();
  }

  /** What became of the write can't be found out: whether the tweet is marked is no longer known, either. */
  private giveUp(tweet: string): void {
    this.settle(tweet);
    this.asked.delete(tweet);
    this.set({ ...this.state, known: removed(this.state.known, tweet) });
    this.fail(tweet, notKnown);
    this.wonder(tweet);
  }

  private settle(tweet: string): void {
    this.writes += 1;
    this.writers.get(tweet)?.stop();
    this.writers.delete(tweet);
    this.set({ ...this.state, underWay: removed(this.state.underWay, tweet) });
  }

  private fail(tweet: string, why: string): void {
    this.set({ ...this.state, faults: new Map(this.state.faults).set(tweet, why) });
    announce(why, "assertive");
  }

  private know(news: readonly (readonly [string, boolean])[]): void {
    this.set({ ...this.state, known: new Map([...this.state.known, ...news]) });
  }

  private show(list: BookmarkList, how: Partial<BookmarksState>): void {
    this.set({ ...this.state, ...how, list });
    this.know(list.shown.map(({ tweet_id }) => [tweet_id, true]));
  }

  private fetch(query: { limit?: number; cursor?: string; tweets?: string }): Promise<Loaded<BookmarkPage>> {
    return load(api.GET("/api/bookmarks", { params: { query } }), () => this.session.lost());
  }
}

function removed<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}
