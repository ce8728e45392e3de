/**
 * Who is logged in. The cookie is out of this code's sight, so the server is asked once at start, again with
 * back-off while it does not answer, and whenever a request is told 401.
 */
import { api } from "../api/client.ts";
import { problemFrom, type Problem } from "../api/problem.ts";
import { Store } from "../api/store.ts";
import { backoffMs } from "../api/write.ts";

export type SessionState =
  | { kind: "asking"; unanswered: number }
  | { kind: "nobody"; wasLost: boolean }
  | { kind: "somebody"; username: string };

/** Null when it went well. */
export type Refusal = Problem | "unreachable" | null;

class Session extends Store<SessionState> {
  /** All tabs share one cookie: who logs in or out in one of them does so in all. */
  private readonly otherTabs = new BroadcastChannel("skein.session");

  constructor() {
    super({ kind: "asking", unanswered: 0 });
    void this.ask();
    this.otherTabs.addEventListener("message", () => void this.check());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && void this.check());
  }

  async logIn(username: string, password: string | null): Promise<Refusal> {
    return this.enter(() => api.POST("/api/login", { body: password === null ? { username } : { username, password } }));
  }

  /** Null when the session is ended at the server; the app keeps it otherwise, since it would still be open there. */
  async logOut(): Promise<Refusal> {
    try {
      const { error, response } = await api.DELETE("/api/login");
      if (!response.ok && response.status !== 401) return problemFrom(response.status, error);
      this.set({ kind: "nobody", wasLost: false });
      this.otherTabs.postMessage("changed");
      return null;
    } catch {
      return "unreachable";
    }
  }

  /** A request was told that nobody is logged in. */
  lost(): void {
    if (this.state.kind === "somebody") this.set({ kind: "nobody", wasLost: true });
  }

  private async enter(
    request: () => Promise<{ data?: { username: string }; error?: unknown; response: Response }>,
  ): Promise<Refusal> {
    try {
      const { data, error, response } = await request();
      if (data === undefined) return problemFrom(response.status, error);
      this.set({ kind: "somebody", username: data.username });
      this.otherTabs.postMessage("changed");
      return null;
    } catch {
      return "unreachable";
    }
  }

  /** Asks whether the cookie is still the one of the person shown here. */
  private async check(): Promise<void> {
    if (this.state.kind === "asking") return;
    try {
      const { data, response } = await api.GET("/api/login");
      if (response.status === 401) this.lost();
      else if (data !== undefined && (this.state.kind !== "somebody" || this.state.username !== data.username)) {
        this.set({ kind: "somebody", username: data.username });
      }
    } catch {
      // The connection's own signs tell of that.
    }
  }

  private async ask(): Promise<void> {
    for (let unanswered = 0; this.state.kind === "asking"; unanswered++) {
      try {
        const { data, response } = await api.GET("/api/login");
        if (this.state.kind !== "asking") return;
        if (data !== undefined) return this.set({ kind: "somebody", username: data.username });
        if (response.status === 401) return this.set({ kind: "nobody", wasLost: false });
      } catch {
        // Counted below.
      }
      this.set({ kind: "asking", unanswered: unanswered + 1 });
      await new Promise((resolve) => setTimeout(resolve, backoffMs(unanswered)));
    }
  }
}

export const session = new Session();
