import type { ReactNode } from "react";

/** A page's one first-level heading. It takes the focus when the page is arrived at. */
export function Heading({ children, hidden = false }: { children: ReactNode; hidden?: boolean }) {
  return (
    <h1 tabIndex={-1} className={hidden ? "visually-hidden" : "heading"}>
      {children}
    </h1>
  );
}
