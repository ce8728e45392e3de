import { clock } from "./clock.ts";
import { sinceText } from "./since.ts";
import { useStore } from "./use-store.ts";

/** A time, told as distance from now and kept current; the exact time is in its title. */
export function Moment({ time }: { time: string }) {
  const nowMs = useStore(clock);
  const exact = new Date(time).toLocaleString(undefined, { dateStyle: "long", timeStyle: "medium" });
  return (
    <time dateTime={time} title={exact}>
      {sinceText(Date.parse(time), nowMs)}
    </time>
  );
}
