import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Tweet } from "../api/client.ts";
import { poll } from "../api/poll.ts";
import { session } from "../api/session.ts";
import { announce } from "../ui/announcer.ts";
import { Button } from "../ui/button.tsx";
import { Heading } from "../ui/heading.tsx";
import { Icon } from "../ui/icon.tsx";
import { Notice } from "../ui/notice.tsx";
import { Older } from "../ui/older.tsx";
import { useStore } from "../ui/use-store.ts";
import { Composer } from "./composer.tsx";
import type { Entry } from "./outbox.ts";
import { PendingCard } from "./pending-card.tsx";
import type { Reader } from "./reader.ts";
import { currentReader } from "./readers.ts";
import { unseen } from "./timeline.ts";
import { TweetCard, type TweetAction } from "./tweet-card.tsx";

const pollPauseMs = 4_000;
const tweetsNoun = ["tweet", "tweets"] as const;

/** `actions` stay the same list for good. */
export function TimelinePage({ actions }: { actions: readonly TweetAction[] }) {
  useStore(session);
  const reader = currentReader();
  return reader === null ? null : <ReaderTimeline key={reader.username} reader={reader} actions={actions} />;
}

function ReaderTimeline({ reader, actions }: { reader: Reader; actions: readonly TweetAction[] }) {
  const [handedBack, setHandedBack] = useState<{ text: string } | null>(null);
  useEffect(() => poll(() => reader.timeline.refresh(), pollPauseMs), [reader]);
  return (
    <>
      <Heading hidden>Timeline</Heading>
      <Composer reader={reader} handedBack={handedBack} />
      <Tweets reader={reader} actions={actions} onAgain={(text) => setHandedBack({ text })} />
    </>
  );
}

interface TweetsProps {
  reader: Reader;
  actions: readonly TweetAction[];
  onAgain(text: string): void;
}

function Tweets({ reader, actions, onAgain }: TweetsProps) {
  const { timeline, first, older } = useStore(reader.timeline);
  const entries = useStore(reader.outbox);
  const { posts, changes } = useMemo(() => sorted(entries), [entries]);
  const shown = timeline?.shown;
  const loadOlder = useCallback(() => reader.timeline.loadOlder(), [reader]);
  const strays = useMemo(() => strayEdits(changes, shown ?? []), [changes, shown]);

  if (timeline === null) {
    return first.kind === "failed" ? (
      <Notice
        tone="bad"
        icon="offline"
        title="The timeline did not load"
        action={
          <Button look="strong" onPress={() => void reader.timeline.refresh()}>
            Try again
          </Button>
        }
      >
        {first.why} Trying again by itself, too.
      </Notice>
    ) : (
      <Skeletons />
    );
  }

  const pendingTexts = new Set(posts.map(({ text }) => text));
  // A tweet of the reader's own that turns up before its post is settled is that post, not news.
  const news = unseen(timeline).filter(
    ({ author, text }) => !(author.toLowerCase() === reader.username.toLowerCase() && pendingTexts.has(text)),
  );
  const empty = timeline.shown.length === 0 && posts.length === 0 && strays.length === 0;
  return (
    <section aria-label="Tweets">
      <News count={news.length} more={timeline.gap !== null} onReveal={() => reader.timeline.reveal()} />
      {empty && news.length === 0 && (
        <Notice tone="calm" icon="feather" title="No tweets yet">
          The sky is clear. Write the first one.
        </Notice>
      )}
      <ol className="tweets">
        {[...strays, ...posts].map(({ entry, text }) => (
          <li key={entry.key}>
            <PendingCard reader={reader} entry={entry} text={text} onAgain={onAgain} />
          </li>
        ))}
        {timeline.shown.map((tweet) => (
          <li key={tweet.id}>
            <TweetCard reader={reader} tweet={tweet} entry={changes.get(tweet.id)} actions={actions} />
          </li>
        ))}
      </ol>
      {!empty && (
        <Older
          noun={tweetsNoun}
          next={timeline.next}
          fault={older.kind === "failed" ? older.why : null}
          load={loadOlder}
        />
      )}
    </section>
  );
}

interface Pending {
  entry: Entry;
  text: string;
}

interface Sorted {
  posts: Pending[];
  /** The latest write on each tweet, and what became of a post that is a tweet by now. */
  changes: Map<string, Entry>;
}

function sorted(entries: readonly Entry[]): Sorted {
  const posts: Sorted["posts"] = [];
  const changes: Sorted["changes"] = new Map();
  for (const entry of entries) {
    const { intent, state } = entry;
    if (intent.kind !== "post") {
      if (!changes.has(intent.tweet.id)) changes.set(intent.tweet.id, entry);
    } else if (state.kind === "committed" && state.value !== null && state.value !== "deleted") {
      if (!changes.has(state.value.id)) changes.set(state.value.id, entry);
    } else posts.push({ entry, text: intent.text });
  }
  return { posts, changes };
}

/** Refused edits of tweets that are not shown: what their author wrote must not vanish with the tweet. */
function strayEdits(changes: Sorted["changes"], shown: readonly Tweet[]): Pending[] {
  const ids = new Set(shown.map(({ id }) => id));
  return [...changes.values()].flatMap((entry) => {
    const { intent, state } = entry;
    return intent.kind === "edit" && state.kind === "refused" && !ids.has(intent.tweet.id) ? [{ entry, text: intent.text }] : [];
  });
}

/** New tweets are offered, never thrown in: the page moves when the reader says so. */
function News({ count, more, onReveal }: { count: number; more: boolean; onReveal(): void }) {
  const text = `${count}${more ? " or more" : ""} new ${count === 1 && !more ? "tweet" : "tweets"}`;
  const said = useRef(0);
  useEffect(() => {
    // Said when there is news after none, and not again for each one that joins it.
    if (count > 0 && said.current === 0) announce(`${text}.`);
    said.current = count;
  }, [count, text]);
  if (count === 0) return null;
  return (
    <div className="news">
      <Button
        look="strong"
        onPress={() => {
          onReveal();
          window.scrollTo({ top: 0 });
          document.querySelector<HTMLElement>("#content h1")?.focus({ preventScroll: true });
        }}
      >
        <Icon name="up" size={16} /> {text}
      </Button>
    </div>
  );
}

/** Placeholders of a tweet's shape while the first page is on its way. */
function Skeletons() {
  return (
    <div role="status">
      <span className="visually-hidden">Loading the timeline …</span>
      {[0, 1, 2, 3].map((n) => (
        <div key={n} className="tweet skeleton" aria-hidden="true">
          <span className="avatar skeleton-block" />
          <div className="tweet-body">
            <span className="skeleton-block skeleton-head" />
            <span className="skeleton-block skeleton-text" />
          </div>
        </div>
      ))}
    </div>
  );
}
