/**
 * Keeps a timeline up to date: first page, older pages at the reader's pace, new tweets by polling.
 * An answer to a poll that was asked before one of the reader's own writes settled is thrown away, because it
 * may show the time before it; the next poll brings the same news.
 */
import { api, type Tweet, type TweetPage } from "../api/client.ts";
import { idle, load, loading, type Loaded, type Loading } from "../api/loading.ts";
import { Store } from "../store.ts";
import { appendOlder, firstPage, mergeNewest, place, remove, reveal, type Timeline } from "./timeline.ts";

export interface TimelineState {
  /** Null until the first page is there. */
  readonly timeline: Timeline | null;
  readonly first: Loading;
  readonly older: Loading;
}

const pageTweets = 50;

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
    if (known === null) this.set({ timeline: firstPage(fetched.value), first: idle, older: idle });
    else if (revision === this.revision) this.changeTo(mergeNewest(known, fetched.value));
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
      this.set({ ...this.state, timeline: appendOlder(known, fetched.value), older: idle });
      return fetched.value.tweets.length;
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

  private fetch(cursor: string | null): Promise<Loaded<TweetPage>> {
    const query = cursor === null ? { limit: pageTweets } : { limit: pageTweets, cursor };
    return load(api.GET("/api/tweet", { params: { query } }), this.onLoggedOut);
  }
}
