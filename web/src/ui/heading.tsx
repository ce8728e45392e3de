import { useLayoutEffect, useRef, type ReactNode } from "react";

export interface HeadingProps {
  children: ReactNode;
  hidden?: boolean;
  /** Takes the focus as it appears, where it replaces what had it. On arriving at a page the shell sees to that. */
  takesFocus?: boolean;
}

/** A page's one first-level heading. */
export function Heading({ children, hidden = false, takesFocus = false }: HeadingProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    if (takesFocus) heading.current?.focus();
  }, [takesFocus]);
  return (
    <h1 ref={heading} tabIndex={-1} className={hidden ? "visually-hidden" : "heading"}>
      {children}
    </h1>
  );
}
