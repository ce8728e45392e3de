/** How the cluster stands, as last told. A failure keeps what was known, so that the page can show it as old. */
import { api, type ClusterStatus } from "../api/client.ts";
import { explain, problemFrom } from "../api/problem.ts";
import { Store } from "../api/store.ts";

export interface ClusterState {
  readonly status: ClusterStatus | null;
  readonly failure: string | null;
}

export class ClusterStore extends Store<ClusterState> {
  constructor() {
    super({ status: null, failure: null });
  }

  /** Resolves to whether it was answered. */
  async refresh(): Promise<boolean> {
    try {
      const { data, error, response } = await api.GET("/api/cluster");
      if (data !== undefined) {
        this.set({ status: data, failure: null });
        return true;
      }
      this.set({ ...this.state, failure: explain(problemFrom(response.status, error)) });
    } catch {
      this.set({ ...this.state, failure: "The server does not answer." });
    }
    return false;
  }
}
