import { connection } from "../api/connection.ts";
import { Icon } from "../ui/icon.tsx";
import { useStore } from "../ui/use-store.ts";

/** Says that the server is out of reach. What was read stays readable; what was written is kept by the outbox. */
export function ConnectionBanner() {
  const reachability = useStore(connection);
  return (
    <div role="status" className="banner-place">
      {reachability !== "reachable" && (
        <p className="banner">
          <Icon name="offline" />
          {reachability === "offline"
            ? "You are offline. What you have read stays here. What you write is kept, and is sent when you are back online."
            : "The server does not answer. Trying again; nothing you wrote is lost."}
        </p>
      )}
    </div>
  );
}
