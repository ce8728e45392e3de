/**
 * What a reader wants to have written, and how each kind of it is sent. Every send names the write by its idempotency key,
 * so the server does it once however often it is asked.
 */
import { api, type Tweet } from "../api/client.ts";
import { replyOf } from "../api/reply.ts";
import type { Reply } from "../api/write.ts";

export type Intent =
  | { kind: "post"; text: string }
  | { kind: "edit"; tweet: Tweet; text: string }
  | { kind: "delete"; tweet: Tweet };

/** What a settled write leaves: the tweet as stored, or its absence. */
export type Settled = Tweet | "deleted";

export async function send(key: string, intent: Intent): Promise<Reply<Settled>> {
  const header = { "Idempotency-Key": key };
  switch (intent.kind) {
    case "post":
      return replyOf<Tweet>(api.POST("/api/tweet", { params: { header }, body: { text: intent.text } }));
    case "edit": {
      const { id, version } = intent.tweet;
      return replyOf<Tweet>(
        api.PUT("/api/tweet/{id}", {
          params: { path: { id }, header: { ...header, "If-Match": `"${version}"` } },
          body: { text: intent.text },
        }),
      );
    }
    case "delete": {
      const answering = api.DELETE("/api/tweet/{id}", { params: { path: { id: intent.tweet.id }, header } });
      const reply = await replyOf<unknown>(answering);
      if (reply.kind === "done") return { kind: "done", value: "deleted" };
      // A tweet that is not there was deleted, here or elsewhere.
      if (reply.kind === "refused" && reply.problem.code === 702) return { kind: "done", value: "deleted" };
      return reply;
    }
  }
}

/** Sends a deletion without waiting for an answer, in a way that outlives the page. */
export function sendLeaving(key: string, intent: Intent): void {
  if (intent.kind !== "delete") return;
  const path = `/api/tweet/${encodeURIComponent(intent.tweet.id)}`;
  fetch(path, { method: "DELETE", keepalive: true, headers: { "Idempotency-Key": key } }).catch(() => undefined);
}
