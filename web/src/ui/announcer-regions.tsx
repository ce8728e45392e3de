import { announcer, type Urgency } from "./announcer.ts";
import { useStore } from "./use-store.ts";

/** The app's two live regions: rendered once, empty at first, outside of everything that comes and goes. */
export function AnnouncerRegions() {
  const spoken = useStore(announcer);
  return (
    <>
      {(["polite", "assertive"] satisfies Urgency[]).map((urgency) => (
        <div key={urgency} className="visually-hidden" aria-live={urgency} aria-atomic="true">
          {/* A new element for each sentence, so that the same one said twice is heard twice. */}
          <span key={spoken[urgency].count}>{spoken[urgency].text}</span>
        </div>
      ))}
    </>
  );
}
