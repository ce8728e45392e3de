/** Keeps the focus near when what had it goes away, so that a person at the keyboard goes on where they were. */
import { useLayoutEffect, type RefObject } from "react";

export function focusIsLost(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

/** The end of a card that is an item of a list moves the focus to its neighbour, and that of the last one to the heading. */
export function useFocusHandedOn(card: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const element = card.current;
    return () => {
      if (element?.contains(document.activeElement) !== true) return;
      const item = element.closest("li");
      const neighbour = (item?.nextElementSibling ?? item?.previousElementSibling)?.querySelector("article");
      requestAnimationFrame(() => {
        if (focusIsLost()) (neighbour ?? document.querySelector<HTMLElement>("#content h1"))?.focus();
      });
    };
  }, [card]);
}
