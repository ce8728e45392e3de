import { useCallback, useEffect, useRef } from "react";
import type { BookmarkedTweet } from "../api/client.ts";
import { session } from "../api/session.ts";
import { Avatar } from "../tweets/avatar.tsx";
import { TweetHead } from "../tweets/tweet-head.tsx";
import { Button } from "../ui/button.tsx";
import { useFocusHandedOn } from "../ui/focus.ts";
import { Heading } from "../ui/heading.tsx";
import { Notice } from "../ui/notice.tsx";
import { Older } from "../ui/older.tsx";
import { useStore } from "../ui/use-store.ts";
import { Waiting } from "../ui/waiting.tsx";
import { RemoveButton } from "./bookmark-button.tsx";
import { insteadOfList, type BookmarkStore } from "./bookmark-store.ts";
import { currentBookmarks } from "./current.ts";

const noun = ["bookmark", "bookmarks"] as const;

export default function BookmarksPage() {
  useStore(session);
  const bookmarks = currentBookmarks();
  return bookmarks === null ? null : <Content bookmarks={bookmarks} />;
}

function Content({ bookmarks }: { bookmarks: BookmarkStore }) {
  useEffect(() => void bookmarks.refresh(), [bookmarks]);
  return (
    <>
      <Heading>Bookmarks</Heading>
      <List bookmarks={bookmarks} />
    </>
  );
}

function List({ bookmarks }: { bookmarks: BookmarkStore }) {
  const state = useStore(bookmarks);
  const { list, older } = state;
  const loadOlder = useCallback(() => bookmarks.loadOlder(), [bookmarks]);
  const instead = insteadOfList(state);
  if (instead === "none") {
    return (
      <Notice tone="calm" icon="bookmark" title="No bookmarks yet">
        Press <q>Bookmark</q> under a tweet, and you find it here again.
      </Notice>
    );
  }
  if (list === null || instead !== null) {
    return (
      <div role="status">
        {instead === "failed" ? <Fault bookmarks={bookmarks} /> : <Waiting what="your bookmarks" />}
      </div>
    );
  }
  return (
    <section aria-label="Bookmarked tweets">
      <Fault bookmarks={bookmarks} />
      <ol className="tweets">
        {list.shown.map((bookmark) => (
          <li key={bookmark.tweet_id}>
            <BookmarkCard bookmarks={bookmarks} bookmark={bookmark} />
          </li>
        ))}
      </ol>
      <Older noun={noun} next={list.next} fault={older.kind === "failed" ? older.why : null} load={loadOlder} />
    </section>
  );
}

/** Why the newest bookmarks did not load the last time, if they did not. */
function Fault({ bookmarks }: { bookmarks: BookmarkStore }) {
  const { first } = useStore(bookmarks);
  if (first.kind !== "failed") return null;
  const again = (
    <Button look="strong" onPress={() => void bookmarks.refresh()}>
      Try again
    </Button>
  );
  return (
    <Notice tone="bad" icon="offline" title="Your bookmarks did not load" action={again}>
      {first.why}
    </Notice>
  );
}

function BookmarkCard({ bookmarks, bookmark }: { bookmarks: BookmarkStore; bookmark: BookmarkedTweet }) {
  const { tweet, tweet_id: id } = bookmark;
  const card = useRef<HTMLElement>(null);
  useFocusHandedOn(card);
  const name = `bookmark-${id}`;
  return (
    <article className="tweet" ref={card} tabIndex={-1} aria-labelledby={name}>
      {tweet !== null && <Avatar username={tweet.author} />}
      <div className="tweet-body">
        {tweet === null ? (
          <p className="bookmark-gone" id={name}>
            This tweet was deleted.
          </p>
        ) : (
          <>
            <TweetHead tweet={tweet} id={name} />
            <p className="tweet-text">{tweet.text}</p>
          </>
        )}
        <div className="tweet-actions">
          <RemoveButton bookmarks={bookmarks} tweet={id} describedBy={name} />
        </div>
      </div>
    </article>
  );
}
