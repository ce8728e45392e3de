/**
 * What the app needs to know of the server's settings before anybody is logged in: how people log in, and how long
 * a tweet may be. Asked for once it matters, and again until it is answered.
 */
import { api } from "../api/client.ts";
import { Store } from "../api/store.ts";
import { backoffMs } from "../api/write.ts";

export interface Settings {
  /** How people log in; null until it is known. */
  readonly auth: "name" | "password" | null;
  readonly tweetCharactersMax: number;
}

/** The bound that holds unless the server says otherwise. */
const charactersMaxByDefault = 100;

class ServerSettings extends Store<Settings> {
  constructor() {
    super({ auth: null, tweetCharactersMax: charactersMaxByDefault });
    void this.ask();
  }

  private async ask(): Promise<void> {
    for (let unanswered = 0; this.state.auth === null; unanswered++) {
      const answer = await api.GET("/api/settings").then(
        ({ data }) => data,
        () => undefined,
      );
      if (answer !== undefined) {
        return this.set({ auth: answer.auth, tweetCharactersMax: answer.tweet_characters_max });
      }
      await new Promise((resolve) => setTimeout(resolve, backoffMs(unanswered)));
    }
  }
}

export const settings = new ServerSettings();
