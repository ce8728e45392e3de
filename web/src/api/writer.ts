/**
 * Carries one write through its states: sends, asks and waits as the machine in write.ts says, and reports each
 * state as it is reached. What it needs of the world comes in as ports, so tests run it without network or clock.
 */
import {
  isFinal,
  resumeWrite,
  startWrite,
  stepWrite,
  type Outcome,
  type Reply,
  type WriteAction,
  type WriteEvent,
  type WriteState,
} from "./write.ts";

export interface WriterPorts<T> {
  send(): Promise<Reply<T>>;
  outcomeOf(transaction: string): Promise<Outcome>;
  /** Calls back once after the time; the answer cancels. */
  after(delayMs: number, call: () => void): () => void;
}

export class Writer<T> {
  private current: WriteState<T>;
  private cancel: (() => void) | null = null;
  private stopped = false;

  private constructor(
    private readonly ports: WriterPorts<T>,
    private readonly report: (state: WriteState<T>) => void,
    [state, action]: [WriteState<T>, WriteAction],
  ) {
    this.current = state;
    report(state);
    this.perform(action);
  }

  static start<T>(ports: WriterPorts<T>, report: (state: WriteState<T>) => void): Writer<T> {
    return new Writer(ports, report, startWrite<T>());
  }

  /** Takes a write up that was sent before. */
  static resume<T>(ports: WriterPorts<T>, report: (state: WriteState<T>) => void, transaction: string | null): Writer<T> {
    return new Writer(ports, report, resumeWrite<T>(transaction));
  }

  get state(): WriteState<T> {
    return this.current;
  }

  /** Takes up a paused question again. */
  ask(): void {
    this.handle({ kind: "ask" });
  }

  stop(): void {
    this.stopped = true;
    this.cancel?.();
  }

  private handle(event: WriteEvent<T>): void {
    if (this.stopped || isFinal(this.current)) return;
    const [state, action] = stepWrite(this.current, event);
    if (state !== this.current) {
      this.current = state;
      this.report(state);
    }
    if (state.kind === "waiting") this.schedule(state.delayMs, () => this.handle({ kind: "due" }));
    else this.perform(action);
  }

  private perform(action: WriteAction): void {
    switch (action.kind) {
      case "none":
        return;
      case "send":
        this.schedule(action.delayMs, () => {
          this.ports.send().then(
            (reply) => this.handle({ kind: "reply", reply }),
            () => this.handle({ kind: "reply", reply: { kind: "doubt", transaction: null } }),
          );
        });
        return;
      case "ask":
        this.schedule(action.delayMs, () => {
          this.ports.outcomeOf(action.transaction).then(
            (outcome) => this.handle({ kind: "outcome", outcome }),
            () => this.handle({ kind: "outcome", outcome: "unanswered" }),
          );
        });
        return;
    }
  }

  private schedule(delayMs: number, call: () => void): void {
    this.cancel?.();
    this.cancel = null;
    if (delayMs === 0) call();
    else this.cancel = this.ports.after(delayMs, call);
  }
}
