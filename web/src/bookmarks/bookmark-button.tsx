/** The buttons that make and remove a bookmark, each with what went wrong the last time next to it. */
import { useEffect } from "react";
import { ToggleButton } from "react-aria-components";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icon.tsx";
import { useStore } from "../ui/use-store.ts";
import { isMarked, type BookmarkStore } from "./bookmark-store.ts";
import { currentBookmarks } from "./current.ts";

export interface BookmarkButtonProps {
  tweet: string;
  /** The element that says which tweet it is. */
  describedBy: string;
}

/** Stands at a tweet. */
export function BookmarkButton(props: BookmarkButtonProps) {
  const bookmarks = currentBookmarks();
  return bookmarks === null ? null : <Toggle bookmarks={bookmarks} {...props} />;
}

/** Pressed while the tweet is marked. */
function Toggle({ bookmarks, tweet, describedBy }: BookmarkButtonProps & { bookmarks: BookmarkStore }) {
  const state = useStore(bookmarks);
  useEffect(() => bookmarks.wonder(tweet), [bookmarks, tweet]);
  return (
    <>
      <ToggleButton
        className="button button-quiet bookmark-toggle"
        isSelected={isMarked(state, tweet)}
        onChange={() => bookmarks.toggle(tweet)}
        aria-describedby={describedBy}
      >
        <Icon name="bookmark" size={16} /> Bookmark
      </ToggleButton>
      <Fault text={state.faults.get(tweet)} />
    </>
  );
}

/** Stands at a bookmark in the list. */
export function RemoveButton({ bookmarks, tweet, describedBy }: BookmarkButtonProps & { bookmarks: BookmarkStore }) {
  const { underWay, faults } = useStore(bookmarks);
  return (
    <>
      <Button
        look="quiet"
        busyText={underWay.has(tweet) ? "Removing …" : undefined}
        onPress={() => bookmarks.toggle(tweet)}
        aria-describedby={describedBy}
      >
        <Icon name="trash" size={16} /> Remove bookmark
      </Button>
      <Fault text={faults.get(tweet)} />
    </>
  );
}

/** What is read here is heard, too: the store announces it. */
function Fault({ text }: { text: string | undefined }) {
  return text === undefined ? null : <span className="bookmark-fault">{text}</span>;
}
