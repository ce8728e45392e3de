/**
 * How the cluster stands, as last told, and until when that was known. An answer holds for a few seconds; after that, or
 * after a failure, it may no longer be true, and the page withdraws what it claims.
 */
import { api, type ClusterStatus } from "../api/client.ts";
import { explain, problemFrom } from "../api/problem.ts";
import { Store } from "../store.ts";

export interface Known {
  readonly status: ClusterStatus;
  /** When the server said so, by this device's clock. */
  readonly atMs: number;
}

export interface ClusterState {
  /** The last answer; null before the first. */
  readonly known: Known | null;
  /** Whether the last answer still holds. */
  readonly current: boolean;
  readonly failure: string | null;
}

export interface ClusterPorts {
  ask(): Promise<{ data?: ClusterStatus; error?: unknown; response: Response }>;
  now(): number;
  /** Calls back once after the time; the answer cancels. */
  after(delayMs: number, call: () => void): () => void;
}

/** Some missed polls: an answer that is late is no reason to alarm anybody, a page full of old claims is. */
export const currentForMs = 6_000;

const browserPorts: ClusterPorts = {
  ask: () => api.GET("/api/cluster"),
  now: Date.now,
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};

export class ClusterStore extends Store<ClusterState> {
  private cancel = () => {};

  constructor(private readonly ports: ClusterPorts = browserPorts) {
    super({ known: null, current: false, failure: null });
  }

  /** Resolves to whether it was answered. */
  async refresh(): Promise<boolean> {
    // What is told was so when it was asked for at the earliest, and an answer that was held up on its way is no fresher.
    const atMs = this.ports.now();
    try {
      const { data, error, response } = await this.ports.ask();
      if (data !== undefined) {
        this.learn({ status: data, atMs });
        return true;
      }
      this.doubt(explain(problemFrom(response.status, error)));
    } catch {
      this.doubt("The server does not answer.");
    }
    return false;
  }

  private learn(known: Known): void {
    this.cancel();
    const leftMs = known.atMs + currentForMs - this.ports.now();
    this.set({ known, current: leftMs > 0, failure: null });
    if (leftMs > 0) this.cancel = this.ports.after(leftMs, () => this.doubt(null));
  }

  private doubt(failure: string | null): void {
    this.cancel();
    this.set({ ...this.state, current: false, failure });
  }
}
