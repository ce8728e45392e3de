/**
 * Creating an account: a write like every other, with a key of its own, followed until its outcome is known; then the
 * new person is logged in.
 */
import { api } from "../api/client.ts";
import { newIdempotencyKey } from "../api/idempotency.ts";
import type { Problem } from "../api/problem.ts";
import { outcomeOf, replyOf } from "../api/reply.ts";
import { session } from "../api/session.ts";
import { Writer } from "../api/writer.ts";

export interface Details {
  username: string;
  name: string;
  email: string;
  password: string;
}

export type SignUpState =
  | { kind: "idle" }
  | { kind: "pending"; unknown: boolean }
  | { kind: "refused"; problem: Problem };

export class SignUp {
  private readonly writer: Writer<unknown>;

  constructor(details: Details, report: (state: SignUpState) => void) {
    const header = { "Idempotency-Key": newIdempotencyKey() };
    this.writer = Writer.start<unknown>(
      {
        send: () => replyOf<unknown>(api.POST("/api/account", { params: { header }, body: details })),
        outcomeOf,
        after: (delayMs, call) => {
          const timer = setTimeout(call, delayMs);
          return () => clearTimeout(timer);
        },
      },
      (state) => {
        if (state.kind === "waiting" && state.problem.status === 429) {
          // As many have signed up from here as may in an hour: that is too long to wait without a word.
          this.stop();
          report({ kind: "refused", problem: state.problem });
        } else if (state.kind === "refused") report(state);
        else report({ kind: "pending", unknown: state.kind === "unknown" });
        if (state.kind === "committed" && state.value !== null) void logIn(details, report);
      },
    );
  }

  stop(): void {
    this.writer.stop();
  }
}

async function logIn({ username, password }: Details, report: (state: SignUpState) => void): Promise<void> {
  const refusal = await session.logIn(username, password);
  if (refusal === null) return;
  const unanswered: Problem = {
    status: 503,
    code: null,
    title: "The account is made, but logging in did not work. Try to log in",
    detail: null,
    transaction: null,
    fields: {},
  };
  report({ kind: "refused", problem: refusal === "unreachable" ? unanswered : refusal });
}
