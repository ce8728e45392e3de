/**
 * Whether the server can be reached, as the last requests saw it.
 * One failed request is no news worth a banner (a laptop wakes, a server restarts): two in a row are.
 */
import { Store } from "../store.ts";

export type Reachability = "reachable" | "unreachable" | "offline";

const missesBeforeUnreachable = 2;

export class Connection extends Store<Reachability> {
  private misses = 0;
  private online = true;
  private changes = 0;

  constructor() {
    super("reachable");
  }

  /** How often the network came or went. What a request came to tells of the network that it was begun in. */
  get changesSeen(): number {
    return this.changes;
  }

  /**
   * A server that answers is reachable, even where the browser sees no network: it may be this very machine. An answer to a
   * request that was begun before the network went tells nothing.
   */
  reached(begunIn: number = this.changes): void {
    if (!this.online && begunIn !== this.changes) return;
    this.misses = 0;
    this.set("reachable");
  }

  missed(): void {
    this.misses += 1;
    if (!this.online) this.set("offline");
    else if (this.misses >= missesBeforeUnreachable) this.set("unreachable");
  }

  /** The browser says that there is, or is not, a network at all. */
  network(online: boolean): void {
    this.changes += 1;
    this.online = online;
    if (!online) this.set("offline");
    else if (this.state === "offline") this.reached();
  }
}

export const connection = new Connection();

if (typeof window !== "undefined") {
  connection.network(navigator.onLine);
  window.addEventListener("online", () => connection.network(true));
  window.addEventListener("offline", () => connection.network(false));
}
