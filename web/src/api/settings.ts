/**
 * What the app needs to know of the server's settings before anybody is logged in: how people log in, how long a tweet may
 * be, and how long a write may be repeated. Asked for once it matters, and again until it is answered.
 */
import { Store } from "../store.ts";
import { api } from "./client.ts";
import { backoffMs } from "./write.ts";

export interface Settings {
  /** How people log in; null until it is known. */
  readonly auth: "name" | "password" | null;
  readonly tweetCharactersMax: number;
  /** For how long the server remembers an idempotency key. */
  readonly idempotencyMs: number;
}

/** The bound that holds unless the server says otherwise. */
const charactersMaxByDefault = 100;
/** No server may be set to less. */
const idempotencyMsMin = 60 * 60 * 1000;

class ServerSettings extends Store<Settings> {
  constructor() {
    super({ auth: null, tweetCharactersMax: charactersMaxByDefault, idempotencyMs: idempotencyMsMin });
    void this.ask();
  }

  private async ask(): Promise<void> {
    for (let unanswered = 0; this.state.auth === null; unanswered++) {
      const answer = await api.GET("/api/settings").then(
        ({ data }) => data,
        () => undefined,
      );
      if (answer !== undefined) {
        const { auth, tweet_characters_max: tweetCharactersMax, idempotency_seconds: seconds } = answer;
        return this.set({ auth, tweetCharactersMax, idempotencyMs: seconds * 1000 });
      }
      await new Promise((resolve) => setTimeout(resolve, backoffMs(unanswered)));
    }
  }
}

export const settings = new ServerSettings();
