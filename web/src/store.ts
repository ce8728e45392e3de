/**
 * A value that can be watched: the one kind of state that lives outside components.
 * States are replaced, never changed in place, so that a reader holding one keeps what it saw.
 */
export class Store<S> {
  private watchers = new Set<() => void>();

  constructor(private current: S) {}

  get state(): S {
    return this.current;
  }

  protected set(next: S): void {
    if (Object.is(next, this.current)) return;
    this.current = next;
    for (const watcher of [...this.watchers]) watcher();
  }

  /** Calls back after each change; the answer ends that. Bound, to be handed to React as it is. */
  readonly subscribe = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  readonly snapshot = (): S => this.current;
}
