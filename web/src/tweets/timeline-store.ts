/**
 * Keeps a timeline up to date: first page, older pages at the reader's pace, new tweets by polling.
 * An answer to a poll that was asked before one of the reader's own writes settled is thrown away, because it
 * may show the time before it; the next poll brings the same news.
 */
import { api, type Tweet, type TweetPage } from "../api/client.ts";
import { explain, problemFrom } from "../api/problem.ts";
import { Store } from "../store.ts";
import { appendOlder, firstPage, mergeNewest, place, remove, reveal, type Timeline } from "./timeline.ts";

export type Loading = { kind: "idle" } | { kind: "loading" } | { kind: "failed"; why: string };

export interface TimelineState {
  /** Null until the first page is there. */
  readonly timeline: Timeline | null;
  readonly first: Loading;
  readonly older: Loading;
}

type Fetched = { kind: "page"; page: TweetPage } | { kind: "failed"; why: string };

const pageTweets = 50;
const loading: Loading = { kind: "loading" };
const idle: Loading = { kind: "idle" };

export class TimelineStore extends Store<TimelineState> {
  private revision = 0;

  constructor(private readonly onLoggedOut: () => void) {
    super({ timeline: null, first: idle, older: idle });
  }

  /** Asks for the newest page; resolves to whether it came. */
  async refresh(): Promise<boolean> {
    const { timeline } = this.state;
    if (timeline === null) this.set({ ...this.state, first: loading });
    const revision = this.revision;
    const fetched = await this.fetch(null);
    if (fetched.kind === "failed") {
      if (this.state.timeline === null) this.set({ ...this.state, first: fetched });
      return false;
    }
    const known = this.state.timeline;
    if (known === null) this.set({ timeline: firstPage(fetched.page), first: idle, older: idle });
    else if (revision === this.revision) this.changeTo(mergeNewest(known, fetched.page));
    return true;
  }

  /** Resolves to how many tweets came. */
  async loadOlder(): Promise<number> {
    const { timeline, older } = this.state;
    if (timeline === null || timeline.next === null || older.kind === "loading") return 0;
    const cursor = timeline.next;
    this.set({ ...this.state, older: loading });
    const fetched = await this.fetch(cursor);
    const known = this.state.timeline;
    if (fetched.kind === "failed") this.set({ ...this.state, older: fetched });
    // The list may have been started over meanwhile; then this page continues nothing.
    else if (known === null || known.next !== cursor) this.set({ ...this.state, older: idle });
    else {
      this.set({ ...this.state, timeline: appendOlder(known, fetched.page), older: idle });
      return fetched.page.tweets.length;
    }
    return 0;
  }

  reveal(): void {
    if (this.state.timeline !== null) this.changeTo(reveal(this.state.timeline));
  }

  place(tweet: Tweet): void {
    this.revision += 1;
    if (this.state.timeline !== null) this.changeTo(place(this.state.timeline, tweet));
  }

  remove(id: string): void {
    this.revision += 1;
    if (this.state.timeline !== null) this.changeTo(remove(this.state.timeline, id));
  }

  private changeTo(timeline: Timeline): void {
    if (timeline !== this.state.timeline) this.set({ ...this.state, timeline });
  }

  private async fetch(cursor: string | null): Promise<Fetched> {
    try {
      const query = cursor === null ? { limit: pageTweets } : { limit: pageTweets, cursor };
      const { data, error, response } = await api.GET("/api/tweet", { params: { query } });
      if (data !== undefined) return { kind: "page", page: data };
      if (response.status === 401) this.onLoggedOut();
      return { kind: "failed", why: explain(problemFrom(response.status, error)) };
    } catch {
      return { kind: "failed", why: "The server does not answer." };
    }
  }
}
