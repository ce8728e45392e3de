/** Lets a component follow a store. */
import { useSyncExternalStore } from "react";
import type { Store } from "../store.ts";

export function useStore<S>(store: Store<S>): S {
  return useSyncExternalStore(store.subscribe, store.snapshot);
}
