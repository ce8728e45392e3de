/**
 * One logged-in person's timeline and writes, living as long as the session and not as long as a page of the app,
 * so that going to another page and back keeps the place and loses no write. Settled writes flow from the outbox
 * into the timeline here, and what became of each is said aloud.
 */
import { connection } from "../api/connection.ts";
import { explain, problemFrom } from "../api/problem.ts";
import { outcomeOf } from "../api/reply.ts";
import { session } from "../api/session.ts";
import { settings } from "../api/settings.ts";
import { announce } from "../ui/announcer.ts";
import { calledClaims, lockClaims, type Claims } from "./claims.ts";
import { Draft } from "./draft.ts";
import { send, sendLeaving } from "./intent.ts";
import { KeptWrites } from "./kept-writes.ts";
import { Outbox, type Entry } from "./outbox.ts";
import { deviceShelf } from "./shelf.ts";
import { TimelineStore } from "./timeline-store.ts";

/** It stays in the outbox until its author is back. */
const nobodyLoggedIn = problemFrom(401, { code: 700 });

export class Reader {
  readonly timeline: TimelineStore;
  readonly outbox: Outbox;
  private readonly forget: (() => void)[] = [];

  constructor(
    readonly username: string,
    onLoggedOut: () => void,
  ) {
    this.timeline = new TimelineStore(onLoggedOut);
    const writes = new KeptWrites(username, deviceShelf);
    this.outbox = new Outbox({
      writes,
      claim: claims.claim,
      send: async (key, intent) => {
        if (!(await session.isStill(username))) return { kind: "refused", problem: nobodyLoggedIn };
        const reply = await send(key, intent);
        if (reply.kind === "refused" && reply.problem.status === 401) onLoggedOut();
        return reply;
      },
      sendLeaving,
      outcomeOf,
      after,
      now: Date.now,
      online: () => connection.state !== "offline",
      keyLifeMs: () => settings.state.idempotencyMs,
      onState: (entry) => this.settle(entry),
    });
    this.listen("pagehide", () => this.outbox.leave());
    this.listen("pageshow", (event) => event.persisted && this.outbox.comeBack());
    this.listen("storage", (event) => writes.concerns(event.key) && this.outbox.follow());
    // Asks whether to leave, where leaving would lose something.
    this.listen("beforeunload", (event) => this.outbox.wouldLose && event.preventDefault());
    this.forget.push(connection.subscribe(() => connection.state === "reachable" && this.outbox.askAll()));
  }

  close(): void {
    this.outbox.close();
    for (const forget of this.forget) forget();
  }

  private listen<K extends keyof WindowEventMap>(type: K, listener: (event: WindowEventMap[K]) => unknown): void {
    window.addEventListener(type, listener);
    this.forget.push(() => window.removeEventListener(type, listener));
  }

  private settle({ intent, state, kept }: Entry): void {
    const noun = { post: "post", edit: "edit", delete: "deletion" }[intent.kind];
    switch (state.kind) {
      case "queued":
        announce(`Your ${noun} is kept on this device and is sent when you are back online.`);
        return;
      case "committed":
        if (!kept && intent.kind !== "delete") {
          new Draft(this.username, intent.kind === "edit" ? intent.tweet.id : null).clearIf(intent.text);
        }
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
      case "lapsed":
        announce(`Whether your ${noun} took effect cannot be found out any more.`, "assertive");
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

/** The types say that every browser has locks; on an origin that is not secure none has. */
const locks = navigator.locks as LockManager | undefined;
const claims: Claims =
  locks === undefined ? calledClaims(new BroadcastChannel("skein.outbox"), after) : lockClaims(locks);
