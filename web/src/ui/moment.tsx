import { useEffect, useState } from "react";
import { sinceText } from "./since.ts";

/** A time, told as distance from now and kept current; the exact time is in its title. */
export function Moment({ time }: { time: string }) {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 20_000);
    return () => clearInterval(timer);
  }, []);
  const exact = new Date(time).toLocaleString(undefined, { dateStyle: "long", timeStyle: "medium" });
  return (
    <time dateTime={time} title={exact}>
      {sinceText(Date.parse(time), nowMs)}
    </time>
  );
}
