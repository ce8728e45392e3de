import type { Entry } from "./outbox.ts";
import { Avatar } from "./avatar.tsx";
import type { Reader } from "./reader.ts";
import { WriteStatus } from "./write-status.tsx";

export interface PendingCardProps {
  reader: Reader;
  entry: Entry;
  text: string;
  onAgain(text: string): void;
}

/**
 * A post that is no tweet yet, shown where it is going to stand; or the text of a refused edit whose tweet is not on the page,
 * because it is gone or further down.
 */
export function PendingCard({ reader, entry, text, onAgain }: PendingCardProps) {
  const { kind } = entry.state;
  const refused = kind === "refused";
  const noun = entry.intent.kind;
  const name = refused ? `Your ${noun}, refused` : kind === "lapsed" ? `Your ${noun}, unknown` : `Your ${noun}, on its way`;
  return (
    <article className="tweet tweet-pending" aria-label={name}>
      <Avatar username={reader.username} />
      <div className="tweet-body">
        <p className="tweet-head">
          <strong className="tweet-author">{reader.username}</strong>
        </p>
        <p className="tweet-text">{text}</p>
        <WriteStatus
          reader={reader}
          entry={entry}
          onAgain={refused || kind === "lapsed" ? () => onAgain(text) : undefined}
          {...(noun === "post" ? {} : { againText: "Use as a new tweet" })}
        />
      </div>
    </article>
  );
}
