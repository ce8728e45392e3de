/** The current time for everything that tells distances from now: one timer for the whole page. */
import { Store } from "../store.ts";

const tickMs = 20_000;

class Clock extends Store<number> {
  constructor() {
    super(Date.now());
    setInterval(() => this.set(Date.now()), tickMs);
  }
}

export const clock = new Clock();
