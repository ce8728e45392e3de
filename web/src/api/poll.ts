/**
 * Asks again and again while the page is visible: at once when it becomes visible, then with a pause after each
 * answer, longer after each failure. A hidden page asks nothing.
 */
export interface PollPorts {
  visible(): boolean;
  onVisibility(call: () => void): () => void;
  after(delayMs: number, call: () => void): () => void;
}

export const browserPorts: PollPorts = {
  visible: () => document.visibilityState === "visible",
  onVisibility: (call) => {
    document.addEventListener("visibilitychange", call);
    return () => document.removeEventListener("visibilitychange", call);
  },
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};

const failuresCounted = 4;

/** `ask` resolves to whether it was answered. The answer stops the polling. */
export function poll(ask: () => Promise<boolean>, pauseMs: number, ports: PollPorts = browserPorts): () => void {
  let stopped = false;
  let asking = false;
  let failures = 0;
  let cancel: (() => void) | null = null;

  async function round(): Promise<void> {
    if (stopped || asking || !ports.visible()) return;
    cancel?.();
    cancel = null;
    asking = true;
    const answered = await ask().catch(() => false);
    asking = false;
    failures = answered ? 0 : Math.min(failures + 1, failuresCounted);
    if (!stopped && ports.visible()) cancel = ports.after(pauseMs * (1 + failures), () => void round());
  }

  const forget = ports.onVisibility(() => void round());
  void round();
  return () => {
    stopped = true;
    cancel?.();
    forget();
  };
}
