/** How far something is that is being loaded, and what asking for it came to. */
import { explain, problemFrom } from "./problem.ts";

export type Loading = { kind: "idle" } | { kind: "loading" } | { kind: "failed"; why: string };

export type Loaded<T> = { kind: "loaded"; value: T } | { kind: "failed"; why: string };

export const loading: Loading = { kind: "loading" };
export const idle: Loading = { kind: "idle" };

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Waits for an answer; a failure is told in words. `onLoggedOut` hears when nobody is logged in. */
export async function load<T>(answering: Promise<Answer<T>>, onLoggedOut: () => void): Promise<Loaded<T>> {
  try {
    const { data, error, response } = await answering;
    if (data !== undefined) return { kind: "loaded", value: data };
    if (response.status === 401) onLoggedOut();
    return { kind: "failed", why: explain(problemFrom(response.status, error)) };
  } catch {
    return { kind: "failed", why: "The server does not answer." };
  }
}
