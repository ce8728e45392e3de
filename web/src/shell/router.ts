/**
 * The app's router: the address bar as a store. Going somewhere new starts at the top; going back restores the
 * scroll position that was left there, which together with state that outlives pages keeps the reader's place.
 */
import { Store } from "../store.ts";

export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names this entry of the history. */
  readonly entry: string;
  /** Whether it was reached by back or forward. */
  readonly revisited: boolean;
}

class Router extends Store<Place> {
  private scrolls = new Map<string, number>();

  constructor() {
    super(here(false));
    history.scrollRestoration = "manual";
    if (entryName() === null) history.replaceState({ entry: newEntry() }, "");
    this.set(here(false));
    window.addEventListener("popstate", () => {
      this.leave();
      if (entryName() === null) history.replaceState({ entry: newEntry() }, "");
      this.set(here(true));
    });
  }

  go(address: string, options: { replace?: boolean } = {}): void {
    const target = new URL(address, location.href);
    if (target.origin !== location.origin || target.pathname.startsWith("/api/")) {
      location.assign(target);
      return;
    }
    this.leave();
    const state = { entry: newEntry() };
    if (options.replace === true) history.replaceState(state, "", target);
    else history.pushState(state, "", target);
    this.set(here(false));
  }

  /** Where the reader was when this entry was last left. */
  scrollOf(entry: string): number {
    return this.scrolls.get(entry) ?? 0;
  }

  private leave(): void {
    this.scrolls.set(this.state.entry, window.scrollY);
  }
}

function entryName(): string | null {
  const state = history.state as { entry?: unknown } | null;
  return typeof state?.entry === "string" ? state.entry : null;
}

function newEntry(): string {
  return Math.random().toString(36).slice(2);
}

function here(revisited: boolean): Place {
  const path = location.pathname.replace(/\/+$/, "") || "/";
  return { path, query: new URLSearchParams(location.search), entry: entryName() ?? "", revisited };
}

export const router = new Router();
