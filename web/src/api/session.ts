/**
 * Who is logged in. The cookie is out of this code's sight, so the server is asked once at start, again with
 * back-off while it does not answer, and whenever a request is told 401.
 */
import { Store } from "../store.ts";
import { api } from "./client.ts";
import { problemFrom, type Problem } from "./problem.ts";
import { backoffMs } from "./write.ts";

export type SessionState =
  | { kind: "asking"; unanswered: number }
  | { kind: "nobody"; wasLost: boolean }
  | { kind: "somebody"; username: string };

/** Null when it went well. */
export type Refusal = Problem | "unreachable" | null;

/** For how long the server's answer about the session is relied on. */
const freshForMs = 5_000;

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

  /**
   * Whether what is sent now is sent in this person's name. The cookie may be somebody else's by now and this tab may not have
   * heard of it, since it was asleep; so the server is asked, and an answer that is no longer fresh is asked for again.
   * Rejects when it is not answered.
   */
  async isStill(username: string): Promise<boolean> {
    for (let asked = 0; asked < 3; asked++) {
      const askedAtMs = Date.now();
      const who = await this.whoseCookie();
      if (Date.now() - askedAtMs > freshForMs) continue;
      this.follow(who);
      return who?.toLowerCase() === username.toLowerCase();
    }
    throw new Error("the server gave no fresh answer about the session");
  }

  /** Asks whether the cookie is still the one of the person shown here. */
  private async check(): Promise<void> {
    if (this.state.kind === "asking") return;
    try {
      this.follow(await this.whoseCookie());
    } catch {
      // The connection's own signs tell of that.
    }
  }

  /** Null when it is nobody's. */
  private async whoseCookie(): Promise<string | null> {
    const { data, response } = await api.GET("/api/login");
    if (data !== undefined) return data.username;
    if (response.status === 401) return null;
    throw new Error(`the question about the session was answered with ${response.status}`);
  }

  private follow(who: string | null): void {
    if (who === null) this.lost();
    else if (this.state.kind !== "somebody" || this.state.username !== who) this.set({ kind: "somebody", username: who });
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
