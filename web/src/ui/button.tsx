import type { ReactNode } from "react";
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from "react-aria-components";

export interface ButtonProps extends Omit<AriaButtonProps, "className" | "children"> {
  /** `strong` is the one main action of a place; `quiet` stands inside text or under a tweet. */
  look?: "strong" | "plain" | "quiet";
  children: ReactNode;
}

export function Button({ look = "plain", children, ...rest }: ButtonProps) {
  return (
    <AriaButton {...rest} className={`button button-${look}`}>
      {children}
    </AriaButton>
  );
}
