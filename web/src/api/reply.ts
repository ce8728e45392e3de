/**
 * Reads an HTTP answer to a write as what it means for that write.
 * The distinctions are the API's promises: 503 with a transaction id is an outcome not known yet, 503 without one
 * and 429 took nothing in, a fetch without an answer may have done anything, and so may any other server error.
 */
import { problemFrom } from "./problem.ts";
import type { Outcome, Reply } from "./write.ts";
import { api } from "./client.ts";

/** Others changed the same thing each time it was tried; nothing was done. */
const contention = 718;

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

export async function replyOf<T>(answering: Promise<Answer<T>>): Promise<Reply<T>> {
  let answer: Answer<T>;
  try {
    answer = await answering;
  } catch {
    return { kind: "doubt", transaction: null };
  }
  const { response } = answer;
  if (response.ok) return { kind: "done", value: answer.data as T };
  return refusalOf<T>(response.status, response.headers, answer.error);
}

export function refusalOf<T>(status: number, headers: Headers, body: unknown): Reply<T> {
  const problem = problemFrom(status, body);
  if (status === 503 && problem.transaction !== null) return { kind: "doubt", transaction: problem.transaction };
  if (status === 503 || status === 429 || problem.code === contention) {
    return { kind: "busy", problem, retryAfterMs: retryAfterMs(headers.get("Retry-After")) };
  }
  // 507 and 501 are refusals in the 500s: the server decided, and wrote nothing.
  if (status === 408 || (status >= 500 && status !== 501 && status !== 507)) {
    return { kind: "doubt", transaction: null };
  }
  return { kind: "refused", problem };
}

/** Seconds, or a date; null for anything else. */
export function retryAfterMs(value: string | null, nowMs: number = Date.now()): number | null {
  if (value === null || value.trim() === "") return null;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

export async function outcomeOf(transaction: string): Promise<Outcome> {
  const { data, response } = await api.GET("/api/transactions/{id}", { params: { path: { id: transaction } } });
  if (data !== undefined) return data.outcome;
  return response.status === 404 ? "forgotten" : "unanswered";
}
