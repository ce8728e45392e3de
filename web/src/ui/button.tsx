import { useEffect, type ReactNode } from "react";
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from "react-aria-components";
import { announce } from "./announcer.ts";

export interface ButtonProps extends Omit<AriaButtonProps, "className" | "children" | "isPending"> {
  /** `strong` is the one main action of a place; `quiet` stands inside text or under a tweet. */
  look?: "strong" | "plain" | "quiet";
  /** What the button says, and is heard saying, while what it started is under way. It keeps the focus and takes no press. */
  busyText?: string | undefined;
  children: ReactNode;
}

export function Button({ look = "plain", busyText, onPress, children, ...rest }: ButtonProps) {
  const busy = busyText !== undefined;
  useEffect(() => {
    if (busyText !== undefined) announce(busyText);
  }, [busyText]);
  return (
    <AriaButton
      {...rest}
      {...(onPress === undefined || busy ? {} : { onPress })}
      className={`button button-${look}${busy ? " button-busy" : ""}`}
    >
      {busy ? busyText : children}
    </AriaButton>
  );
}
