/** The foot of a list that goes on: asks for more as it comes into sight, and has a button for all who do not scroll. */
import { useEffect, useRef, useState } from "react";
import { announce } from "./announcer.ts";
import { Button } from "./button.tsx";

export interface OlderProps {
  /** What is listed, of which there may be one or several. */
  noun: readonly [one: string, several: string];
  /** Where the list continues; null at its end. */
  next: string | null;
  /** Why the last request for more failed, if it did. */
  fault: string | null;
  /** Resolves to how many came. Stays the same function while the list is the same one. */
  load(): Promise<number>;
}

export function Older({ noun, next, fault, load }: OlderProps) {
  const mark = useRef<HTMLDivElement>(null);
  const [asked, setAsked] = useState(false);
  const failed = fault !== null;

  useEffect(() => {
    if (mark.current === null || next === null || failed) return;
    const observer = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && void load(), {
      rootMargin: "600px",
    });
    observer.observe(mark.current);
    return () => observer.disconnect();
  }, [load, next, failed]);

  /** On request it is said what came; on scrolling that would only be noise. */
  async function request() {
    setAsked(true);
    const count = await load();
    setAsked(false);
    if (count > 0) announce(`${count} older ${noun[count === 1 ? 0 : 1]}.`);
  }

  if (next === null) return <p className="list-end">That is all there is.</p>;
  return (
    <div className="older" ref={mark}>
      {failed && (
        <p role="alert" className="older-fault">
          Older {noun[1]} did not load. {fault}
        </p>
      )}
      <Button onPress={() => void request()} busyText={asked ? `Loading older ${noun[1]} …` : undefined}>
        {failed ? "Try again" : `Older ${noun[1]}`}
      </Button>
    </div>
  );
}
