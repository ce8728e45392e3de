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

/** A post that the server has not answered yet, shown where it is going to stand. */
export function PendingCard({ reader, entry, text, onAgain }: PendingCardProps) {
  const refused = entry.state.kind === "refused";
  return (
    <article className="tweet tweet-pending" aria-label={refused ? "Your post, refused" : "Your post, on its way"}>
      <Avatar username={reader.username} />
      <div className="tweet-body">
        <p className="tweet-head">
          <strong className="tweet-author">{reader.username}</strong>
        </p>
        <p className="tweet-text">{text}</p>
        <WriteStatus reader={reader} entry={entry} onAgain={refused ? () => onAgain(text) : undefined} />
      </div>
    </article>
  );
}
