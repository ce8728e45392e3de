/**
 * One logged-in person's timeline and writes, living as long as the session and not as long as a page of the app,
 * so that going to another page and back keeps the place and loses no write. Settled writes flow from the outbox
 * into the timeline here, and what became of each is said aloud.
 */
import { api, type Tweet } from "../api/client.ts";
import { connection } from "../api/connection.ts";
import { explain } from "../api/problem.ts";
import { outcomeOf, replyOf } from "../api/reply.ts";
import type { Reply } from "../api/write.ts";
import { announce } from "../ui/announcer.ts";
import { Outbox, type Entry, type Intent, type Settled } from "./outbox.ts";
import { TimelineStore } from "./timeline-store.ts";

export class Reader {
  readonly timeline: TimelineStore;
  readonly outbox: Outbox;
  private readonly forget: (() => void)[] = [];

  constructor(
    readonly username: string,
    onLoggedOut: () => void,
  ) {
    this.timeline = new TimelineStore(onLoggedOut);
    const kept = `skein.outbox.${username.toLowerCase()}`;
    this.outbox = new Outbox({
      writerFor: (key, intent) => ({
        send: async () => {
          const reply = await send(key, intent);
          if (reply.kind === "refused" && reply.problem.status === 401) onLoggedOut();
          return reply;
        },
        outcomeOf,
        after,
      }),
      sendLeaving,
      after,
      now: Date.now,
      load: () => sessionStorage.getItem(kept),
      save: (text) => {
        if (text === null) sessionStorage.removeItem(kept);
        else sessionStorage.setItem(kept, text);
      },
      onState: (entry) => this.settle(entry),
    });
    const leave = () => this.outbox.leave();
    const comeBack = (event: PageTransitionEvent) => event.persisted && this.outbox.comeBack();
    window.addEventListener("pagehide", leave);
    window.addEventListener("pageshow", comeBack);
    this.forget.push(
      () => window.removeEventListener("pagehide", leave),
      () => window.removeEventListener("pageshow", comeBack),
      connection.subscribe(() => connection.state === "reachable" && this.outbox.askAll()),
    );
  }

  close(): void {
    this.outbox.close();
    for (const forget of this.forget) forget();
  }

  private settle({ intent, state }: Entry): void {
    const noun = { post: "post", edit: "edit", delete: "deletion" }[intent.kind];
    switch (state.kind) {
      case "committed":
        if (state.value === null) return;
        if (state.value === "deleted") {
          if (intent.kind === "delete") this.timeline.remove(intent.tweet.id);
        } else this.timeline.place(state.value);
        announce({ post: "Posted.", edit: "Edit saved.", delete: "Deleted." }[intent.kind]);
        return;
      case "refused":
        // After the next log-in it goes out by itself.
        if (state.problem.status === 401) return;
        // A tweet that is gone leaves the list, whatever was to be done to it.
        if (intent.kind !== "post" && state.problem.code === 702) this.timeline.remove(intent.tweet.id);
        announce(`Your ${noun} was refused. ${explain(state.problem)}`, "assertive");
        return;
      case "unknown":
        if (state.asked <= 1 && !state.paused) announce(`Whether your ${noun} took effect is not known yet. Asking.`);
        return;
    }
  }
}

function after(delayMs: number, call: () => void): () => void {
  const timer = setTimeout(call, delayMs);
  return () => clearTimeout(timer);
}

async function send(key: string, intent: Intent): Promise<Reply<Settled>> {
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
      // What is not there is deleted, by whomever.
      if (reply.kind === "refused" && reply.problem.code === 702) return { kind: "done", value: "deleted" };
      return reply;
    }
  }
}

function sendLeaving(key: string, intent: Intent): void {
  if (intent.kind !== "delete") return;
  const path = `/api/tweet/${encodeURIComponent(intent.tweet.id)}`;
  fetch(path, { method: "DELETE", keepalive: true, headers: { "Idempotency-Key": key } }).catch(() => undefined);
}
