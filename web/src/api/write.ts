/**
 * The life of one write, as a pure state machine.
 *
 *     sending --2xx--> committed
 *        |  --4xx--> refused
 *        |  --503 without a transaction, 429--> waiting --due--> sending
 *        `--503 with a transaction, no answer--> unknown --asks, repeats--> committed | refused | lapsed | unknown
 *
 * Every send of one write carries the same Idempotency-Key, so a repeat never writes twice and brings the first
 * answer. Losing contact is never "failed": once a send may have had an effect the write stays unknown until the
 * server says which, and a refusal to listen (overload, a lost session) says nothing about it. A server remembers a
 * key for some hours; a write that is still unknown after that has lapsed, since a repeat might write it twice. Every
 * loop has a bound; at its end a write that had no effect is refused, and an unknown one pauses until somebody asks again.
 */
import type { Problem } from "./problem.ts";

export type WriteState<T> =
  | { kind: "sending"; attempt: number }
  | { kind: "waiting"; attempt: number; delayMs: number; problem: Problem }
  | { kind: "unknown"; transaction: string | null; asked: number; aborts: number; paused: boolean }
  | { kind: "committed"; value: T | null; asked: number }
  | { kind: "refused"; problem: Problem }
  /** Whether it took effect cannot be found out any more. */
  | { kind: "lapsed" };

/** What one send came to. */
export type Reply<T> =
  | { kind: "done"; value: T }
  | { kind: "refused"; problem: Problem }
  /** The server took nothing in; it may later. */
  | { kind: "busy"; problem: Problem; retryAfterMs: number | null }
  /** The write may have happened. */
  | { kind: "doubt"; transaction: string | null }
  /** It was not sent, because the server may have forgotten its key since an earlier send. */
  | { kind: "lapsed" };

/** What the server says of a transaction; `forgotten` is its 404, `unanswered` no answer at all. */
export type Outcome = "committed" | "aborted" | "unknown" | "forgotten" | "unanswered";

export type WriteEvent<T> =
  | { kind: "reply"; reply: Reply<T> }
  | { kind: "outcome"; outcome: Outcome }
  | { kind: "due" }
  | { kind: "ask" };

export type WriteAction =
  | { kind: "none" }
  | { kind: "send"; delayMs: number }
  | { kind: "ask"; transaction: string; delayMs: number };

export const writeBounds = {
  busyAttemptsMax: 8,
  abortsMax: 5,
  asksMax: 150,
  answerFetchesMax: 20,
  backoffMinMs: 250,
  backoffMaxMs: 4_000,
  retryAfterMaxMs: 30_000,
};

/** Doubles from the minimum to the maximum. */
export function backoffMs(attempt: number): number {
  return Math.min(writeBounds.backoffMaxMs, writeBounds.backoffMinMs * 2 ** Math.min(attempt, 16));
}

const none: WriteAction = { kind: "none" };

export function startWrite<T>(): [WriteState<T>, WriteAction] {
  return [{ kind: "sending", attempt: 0 }, { kind: "send", delayMs: 0 }];
}

/**
 * A write that was sent before, by another page or tab: it is unknown. Its transaction tells where one was named, else the
 * repeat under its key.
 */
export function resumeWrite<T>(transaction: string | null): [WriteState<T>, WriteAction] {
  return [
    { kind: "unknown", transaction, asked: 0, aborts: 0, paused: false },
    transaction === null ? { kind: "send", delayMs: 0 } : { kind: "ask", transaction, delayMs: 0 },
  ];
}

export function isFinal<T>(state: WriteState<T>): boolean {
  return state.kind === "refused" || state.kind === "lapsed" || (state.kind === "committed" && state.value !== null);
}

export function stepWrite<T>(state: WriteState<T>, event: WriteEvent<T>): [WriteState<T>, WriteAction] {
  switch (state.kind) {
    case "sending":
      return event.kind === "reply" ? afterFirstReplies(state.attempt, event.reply) : [state, none];
    case "waiting":
      return event.kind === "due"
        ? [
            { kind: "sending", attempt: state.attempt },
            { kind: "send", delayMs: 0 },
          ]
        : [state, none];
    case "unknown":
      return whileUnknown(state, event);
    case "committed":
      return whileCommitted(state, event);
    case "refused":
    case "lapsed":
      return [state, none];
  }
}

function afterFirstReplies<T>(attempt: number, reply: Reply<T>): [WriteState<T>, WriteAction] {
  switch (reply.kind) {
    case "done":
      return [{ kind: "committed", value: reply.value, asked: 0 }, none];
    case "refused":
      return [{ kind: "refused", problem: reply.problem }, none];
    case "busy": {
      if (attempt + 1 >= writeBounds.busyAttemptsMax) return [{ kind: "refused", problem: reply.problem }, none];
      const asked = Math.min(reply.retryAfterMs ?? 0, writeBounds.retryAfterMaxMs);
      const delayMs = Math.max(asked, backoffMs(attempt));
      return [{ kind: "waiting", attempt: attempt + 1, delayMs, problem: reply.problem }, none];
    }
    case "doubt":
      return pursue({ transaction: reply.transaction, asked: 0, aborts: 0 });
    case "lapsed":
      return [reply, none];
  }
}

interface Pursuit {
  transaction: string | null;
  asked: number;
  aborts: number;
}

/** Stays unknown and finds out: by the transaction's id where there is one, else by repeating the write. */
function pursue<T>(pursuit: Pursuit): [WriteState<T>, WriteAction] {
  const { transaction, asked } = pursuit;
  if (asked >= writeBounds.asksMax) return [{ kind: "unknown", ...pursuit, paused: true }, none];
  const delayMs = backoffMs(asked);
  const action: WriteAction =
    transaction === null ? { kind: "send", delayMs } : { kind: "ask", transaction, delayMs };
  return [{ kind: "unknown", ...pursuit, asked: asked + 1, paused: false }, action];
}

function whileUnknown<T>(
  state: Extract<WriteState<T>, { kind: "unknown" }>,
  event: WriteEvent<T>,
): [WriteState<T>, WriteAction] {
  const { transaction, asked, aborts } = state;
  switch (event.kind) {
    case "ask":
      return state.paused ? pursue({ transaction, asked: 0, aborts }) : [state, none];
    case "due":
      return [state, none];
    case "outcome":
      switch (event.outcome) {
        case "committed":
          return [
            { kind: "committed", value: null, asked: 0 },
            { kind: "send", delayMs: 0 },
          ];
        case "aborted":
          // Nothing was written, the key included: sending again under the same key is the first write, not a second.
          if (aborts + 1 >= writeBounds.abortsMax) {
            return [{ kind: "refused", problem: givenUp }, none];
          }
          return [
            { kind: "unknown", transaction: null, asked, aborts: aborts + 1, paused: false },
            { kind: "send", delayMs: backoffMs(aborts) },
          ];
        case "forgotten":
          return pursue({ transaction: null, asked, aborts });
        case "unknown":
        case "unanswered":
          return pursue({ transaction, asked, aborts });
      }
    case "reply":
      switch (event.reply.kind) {
        case "done":
          return [{ kind: "committed", value: event.reply.value, asked: 0 }, none];
        case "refused":
          // A server that no longer knows who asks has not looked at the write.
          if (event.reply.problem.status === 401) {
            return [{ kind: "unknown", transaction, asked, aborts, paused: true }, none];
          }
          return [{ kind: "refused", problem: event.reply.problem }, none];
        case "busy":
          return pursue({ transaction, asked, aborts });
        case "doubt":
          return pursue({ transaction: event.reply.transaction, asked, aborts });
        case "lapsed":
          return [event.reply, none];
      }
  }
}

/** Committed, but the answer itself (the tweet, as stored) is still to be fetched. */
function whileCommitted<T>(
  state: Extract<WriteState<T>, { kind: "committed" }>,
  event: WriteEvent<T>,
): [WriteState<T>, WriteAction] {
  if (state.value !== null || event.kind !== "reply") return [state, none];
  if (event.reply.kind === "done") return [{ ...state, value: event.reply.value }, none];
  if (event.reply.kind === "refused" || event.reply.kind === "lapsed" || state.asked >= writeBounds.answerFetchesMax) return [state, none];
  return [
    { ...state, asked: state.asked + 1 },
    { kind: "send", delayMs: backoffMs(state.asked) },
  ];
}

const givenUp: Problem = {
  status: 503,
  code: null,
  title: "The cluster gave this write up",
  detail: "The cluster gave this write up several times. Nothing was written.",
  transaction: null,
  fields: {},
};
