/**
 * What the app says to those who do not see it. A live region must exist before it is filled, so both are
 * rendered once, by announcer-regions.tsx, and follow this store.
 */
import { Store } from "../store.ts";

export type Urgency = "polite" | "assertive";

export interface Spoken {
  readonly text: string;
  /** Distinguishes a sentence from the same one said again. */
  readonly count: number;
}

class Announcer extends Store<Record<Urgency, Spoken>> {
  constructor() {
    super({ polite: { text: "", count: 0 }, assertive: { text: "", count: 0 } });
  }

  say(text: string, urgency: Urgency): void {
    const count = this.state[urgency].count + 1;
    this.set({ ...this.state, [urgency]: { text, count } });
  }
}

export const announcer = new Announcer();

export function announce(text: string, urgency: Urgency = "polite"): void {
  announcer.say(text, urgency);
}
