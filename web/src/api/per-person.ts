/**
 * What is there for one person from log-in to log-out, and not as long as a page of the app. Made here and not in a component,
 * since some of it goes to work as soon as it exists.
 */
import { session } from "./session.ts";

/** Makes it for whoever logs in, and closes it when somebody else does, or nobody. Gives what there is now; null while nobody is logged in. */
export function perPerson<T extends { close(): void }>(make: (username: string) => T): () => T | null {
  let current: { username: string; made: T } | null = null;
  function follow(): void {
    const username = session.state.kind === "somebody" ? session.state.username : null;
    if ((current?.username ?? null) === username) return;
    current?.made.close();
    current = username === null ? null : { username, made: make(username) };
  }
  session.subscribe(follow);
  follow();
  return () => current?.made ?? null;
}
