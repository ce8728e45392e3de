/**
 * The reader of the session: there from log-in to log-out. Made here and not in a component, because a reader takes up
 * unsettled writes as soon as it exists.
 */
import { session } from "../api/session.ts";
import { Reader } from "./reader.ts";

let current: Reader | null = null;

function follow(): void {
  const username = session.state.kind === "somebody" ? session.state.username : null;
  if (current?.username === username) return;
  current?.close();
  current = username === null ? null : new Reader(username, () => session.lost());
}

session.subscribe(follow);
follow();

/** Null while nobody is logged in. */
export function currentReader(): Reader | null {
  return current;
}
