/**
 * Which of the open tabs sees a kept write through: one at a time, and the next as soon as that one is gone. A claim waits
 * until it is granted.
 *
 * Web Locks do that, and end with the tab that holds them, however it ends. Browsers have them on secure origins alone, and a
 * server at a plain-HTTP address of a local network is none: there the tabs ask each other over a channel, and a write is
 * free when no tab answers. Two tabs that ask in the same moment may both be granted; that is harmless, since a write is
 * sent under one idempotency key by whichever tab sends it.
 */
export interface Claims {
  /**
   * Calls back, never before it has returned, when this tab alone sees the write through. The answer gives the claim up.
   * A write that is `own` was made by this tab a moment ago.
   */
  claim(key: string, own: boolean, granted: () => void): () => void;
}

/** The claims of one tab: those that wait, and those that were granted. */
export class TabClaims {
  private readonly releases = new Map<string, () => void>();
  private readonly granted = new Set<string>();

  constructor(private readonly claims: Claims) {}

  /** Calls back when the claim is granted; at once if it was before. */
  take(key: string, own: boolean, call: () => void): void {
    if (this.granted.has(key)) call();
    else if (!this.releases.has(key)) {
      const grant = () => {
        this.granted.add(key);
        call();
      };
      this.releases.set(key, this.claims.claim(key, own, grant));
    }
  }

  release(key: string): void {
    const release = this.releases.get(key);
    this.releases.delete(key);
    this.granted.delete(key);
    release?.();
  }

  releaseAll(): void {
    for (const key of [...this.releases.keys()]) this.release(key);
  }
}

const lockName = (key: string) => `skein.outbox.${key}`;

export function lockClaims(locks: LockManager): Claims {
  return {
    claim(key, _own, granted) {
      const waiting = new AbortController();
      let over = false;
      let release = () => {};
      const held = new Promise<void>((resolve) => (release = resolve));
      const take = () => {
        if (!over) granted();
      };
      const asked = locks.request(lockName(key), { signal: waiting.signal }, () => {
        take();
        return held;
      });
      // A page that may not use locks goes on without.
      asked.catch(take);
      return () => {
        over = true;
        release();
        waiting.abort();
      };
    },
  };
}

type Call = { kind: "whose" | "mine" | "free"; key: string };

/** What is needed of a BroadcastChannel: all other tabs hear what one says. */
export interface Channel {
  postMessage(call: Call): void;
  addEventListener(type: "message", listener: (event: { data: Call }) => void): void;
}

/** How long the tab that has a claim may take to answer. A background tab answers late, but it answers. */
export const answerWithinMs = 1_000;
/** When a tab is asked again that has answered: it may have ended without a word. */
export const askAgainMs = 4_000;

export function calledClaims(channel: Channel, after: (delayMs: number, call: () => void) => () => void): Claims {
  const held = new Set<string>();
  const waiting = new Map<string, { ask(): void; wait(): void }>();

  channel.addEventListener("message", ({ data: { kind, key } }) => {
    if (kind === "whose") {
      if (held.has(key)) channel.postMessage({ kind: "mine", key });
    } else if (kind === "mine") waiting.get(key)?.wait();
    else waiting.get(key)?.ask();
  });

  return {
    claim(key, own, granted) {
      let cancel = () => {};
      const grant = () => {
        waiting.delete(key);
        held.add(key);
        granted();
      };
      const next = (delayMs: number, call: () => void) => {
        cancel();
        cancel = after(delayMs, call);
      };
      if (own) {
        held.add(key);
        next(0, grant);
      } else {
        const ask = () => {
          next(answerWithinMs, grant);
          channel.postMessage({ kind: "whose", key });
        };
        waiting.set(key, { ask, wait: () => next(askAgainMs, ask) });
        ask();
      }
      return () => {
        cancel();
        waiting.delete(key);
        if (held.delete(key)) channel.postMessage({ kind: "free", key });
      };
    },
  };
}
