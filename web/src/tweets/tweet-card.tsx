import { memo, useEffect, useRef, useState, type ComponentType, type RefObject } from "react";
import type { Tweet } from "../api/client.ts";
import { announce } from "../ui/announcer.ts";
import { Button } from "../ui/button.tsx";
import { focusIsLost, useFocusHandedOn } from "../ui/focus.ts";
import { Icon } from "../ui/icon.tsx";
import { Avatar } from "./avatar.tsx";
import { Draft } from "./draft.ts";
import { Editor } from "./editor.tsx";
import { tooManyWrites, undoWindowMs, type Entry } from "./outbox.ts";
import type { Reader } from "./reader.ts";
import { TweetHead } from "./tweet-head.tsx";
import { WriteStatus } from "./write-status.tsx";

/** What another concept offers at a tweet. */
export type TweetAction = ComponentType<{
  /** The tweet's id. */
  tweet: string;
  /** The element that says which tweet it is. */
  describedBy: string;
}>;

export interface TweetCardProps {
  reader: Reader;
  tweet: Tweet;
  /** The reader's own write on this tweet, if one is under way. */
  entry: Entry | undefined;
  actions: readonly TweetAction[];
}

export const TweetCard = memo(function TweetCard({ reader, tweet, entry, actions }: TweetCardProps) {
  const own = tweet.author.toLowerCase() === reader.username.toLowerCase();
  const [draft] = useState(() => new Draft(reader.username, tweet.id));
  const [editing, setEditing] = useState(() => own && draft.read() !== null);
  const card = useRef<HTMLElement>(null);
  useFocusHandedOn(card);
  useFocusKept(card, entry?.intent.kind === "delete" && entry.state.kind === "held");

  function remove() {
    const taken = reader.outbox.add({ kind: "delete", tweet });
    if (taken === "too many") announce(tooManyWrites, "assertive");
    else announce(`Deleting in ${undoWindowMs / 1000} seconds. Undo is available.`);
  }

  function closeEditor() {
    setEditing(false);
    // Whoever is writing elsewhere by then keeps the focus: the next key is meant for that place.
    requestAnimationFrame(() => {
      if (focusIsLost()) card.current?.querySelector<HTMLElement>("[data-action=edit]")?.focus();
    });
  }

  if (entry?.intent.kind === "delete" && entry.state.kind === "held") {
    const { key } = entry;
    return (
      <article className="tweet tweet-leaving" ref={card} tabIndex={-1} aria-label="Your tweet, about to be deleted">
        <p className="tweet-leaving-text">
          <Icon name="trash" size={16} /> Deleting <q>{tweet.text}</q>
        </p>
        <Button look="quiet" onPress={() => reader.outbox.undo(key)} data-action="undo">
          Undo
        </Button>
        <span className="tweet-leaving-time" aria-hidden="true" />
      </article>
    );
  }

  const underway = entry !== undefined && entry.state.kind !== "committed" && entry.state.kind !== "refused";
  const text = entry?.intent.kind === "edit" && underway ? entry.intent.text : tweet.text;
  const refusedEdit = entry?.intent.kind === "edit" && entry.state.kind === "refused" ? entry.intent.text : null;
  const fading = entry?.intent.kind === "delete" && entry.state.kind !== "refused";
  const name = `tweet-${tweet.id}`;

  return (
    <article className={fading ? "tweet tweet-fading" : "tweet"} ref={card} tabIndex={-1} aria-labelledby={name}>
      <Avatar username={tweet.author} />
      <div className="tweet-body">
        <TweetHead tweet={tweet} id={name} />
        {editing ? (
          <Editor
            tweet={tweet}
            draft={draft}
            onSave={(next) => reader.outbox.add({ kind: "edit", tweet, text: next })}
            onClose={closeEditor}
          />
        ) : (
          <p className="tweet-text">{text}</p>
        )}
        {entry !== undefined && (
          <WriteStatus
            reader={reader}
            entry={entry}
            onAgain={
              refusedEdit === null
                ? undefined
                : () => {
                    draft.write(refusedEdit);
                    setEditing(true);
                  }
            }
          />
        )}
        <div className="tweet-actions">
          {actions.map((Action, at) => (
            <Action key={at} tweet={tweet.id} describedBy={name} />
          ))}
          {own && !editing && !underway && (
            <>
              <Button look="quiet" onPress={() => setEditing(true)} data-action="edit" aria-describedby={name}>
                <Icon name="edit" size={16} /> Edit
              </Button>
              <Button look="quiet" onPress={remove} data-action="delete" aria-describedby={name}>
                <Icon name="trash" size={16} /> Delete
              </Button>
            </>
          )}
        </div>
      </div>
    </article>
  );
});

/**
 * Keeps the focus near when what had it goes away: a press that replaces its own button moves the focus to the
 * counterpart, and the end of the undo time to the card.
 */
function useFocusKept(card: RefObject<HTMLElement | null>, held: boolean) {
  const before = useRef(held);
  useEffect(() => {
    if (before.current === held) return;
    before.current = held;
    if (!focusIsLost()) return;
    const counterpart = held ? "[data-action=undo]" : "[data-action=delete]";
    (card.current?.querySelector<HTMLElement>(counterpart) ?? card.current)?.focus();
  }, [held, card]);
}
