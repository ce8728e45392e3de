/** Times as people say them: near ones by distance, far ones by date. */
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export function sinceText(timeMs: number, nowMs: number): string {
  const ageMs = nowMs - timeMs;
  if (ageMs < minuteMs) return "now";
  if (ageMs < hourMs) return `${Math.floor(ageMs / minuteMs)} min`;
  if (ageMs < dayMs) return `${Math.floor(ageMs / hourMs)} h`;
  if (ageMs < 7 * dayMs) return `${Math.floor(ageMs / dayMs)} d`;
  const sameYear = new Date(timeMs).getFullYear() === new Date(nowMs).getFullYear();
  return new Date(timeMs).toLocaleDateString(undefined, {
    day: "numeric",
    month: "short",
    ...(sameYear ? {} : { year: "numeric" }),
  });
}

/** A moment to the second, with the day unless it is today's. */
export function momentText(timeMs: number, nowMs: number): string {
  const time = new Date(timeMs);
  if (time.toDateString() === new Date(nowMs).toDateString()) return time.toLocaleTimeString(undefined, { timeStyle: "medium" });
  return time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
