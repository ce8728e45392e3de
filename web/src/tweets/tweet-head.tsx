import type { Tweet } from "../api/client.ts";
import { Moment } from "../ui/moment.tsx";

/** Who wrote a tweet, and when; with an id, so that what stands below can be named by it. */
export function TweetHead({ tweet, id }: { tweet: Tweet; id: string }) {
  return (
    <p className="tweet-head" id={id}>
      <strong className="tweet-author">{tweet.author}</strong>
      <span className="tweet-time">
        <Moment time={tweet.created_at} />
        {tweet.edited_at !== null && (
          <span title={`Edited ${new Date(tweet.edited_at).toLocaleString()}`}> · edited</span>
        )}
      </span>
    </p>
  );
}
