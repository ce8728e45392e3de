/**
 * The device's own storage, as far as the browser lends it: local storage may be full, or forbidden altogether, and then even
 * looking at it throws. Nothing here throws; the caller is told whether what it writes is kept.
 */
export interface Shelf {
  keys(): string[];
  read(key: string): string | null;
  /** False when it could not be kept. What was kept under the key before then stays. */
  write(key: string, text: string): boolean;
  remove(key: string): void;
}

/** Storage is handed over as a function, since a browser that forbids it throws as soon as it is named. */
export function shelfOf(storage: () => Storage): Shelf {
  return {
    keys: () => attempt(() => Array.from({ length: storage().length }, (_, n) => storage().key(n) ?? ""), []),
    read: (key) => attempt(() => storage().getItem(key), null),
    write: (key, text) => attempt(() => (storage().setItem(key, text), true), false),
    remove: (key) => attempt(() => storage().removeItem(key), undefined),
  };
}

export const deviceShelf = shelfOf(() => localStorage);

function attempt<V>(action: () => V, otherwise: V): V {
  try {
    return action();
  } catch {
    return otherwise;
  }
}
