/** Logging out takes a press of a button: an address alone, followed from anywhere, must not end a session. */
import { useState } from "react";
import { Link } from "react-aria-components";
import { explain } from "../api/problem.ts";
import { session } from "../api/session.ts";
import { paths } from "../paths.ts";
import type { Reader } from "../tweets/reader.ts";
import { currentReader } from "../tweets/readers.ts";
import { Button } from "../ui/button.tsx";
import { Heading } from "../ui/heading.tsx";
import { useStore } from "../ui/use-store.ts";

/** Writes under way need the session; this is how long leaving waits for them. */
const writesAnsweredWithinMs = 3_000;

/** What is not through when the session ends stays on the device, which others may use too. */
function OpenWrites({ reader }: { reader: Reader }) {
  const count = useStore(reader.outbox).filter(({ state }) => state.kind !== "committed" && state.kind !== "held").length;
  if (count === 0) return null;
  return (
    <p className="account-note">
      {count === 1 ? "One of your writes is" : `${count} of your writes are`} not through yet. Whatever is not through when you
      log out stays on this device and is sent when you log in here again.
    </p>
  );
}

export function LogoutPage() {
  const who = useStore(session);
  const [pending, setPending] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [done, setDone] = useState(false);

  async function logOut() {
    setPending(true);
    setRefusal(null);
    await currentReader()?.outbox.drain(writesAnsweredWithinMs);
    const problem = await session.logOut();
    setPending(false);
    setDone(problem === null);
    if (problem === "unreachable") setRefusal("The server does not answer, so you may still be logged in. Try again.");
    else if (problem !== null) setRefusal(`You are still logged in. ${explain(problem)}`);
  }

  if (who.kind !== "somebody") {
    return (
      <section className="account">
        <Heading key="out" takesFocus={done}>
          You are logged out
        </Heading>
        <p>
          <Link className="link" href={paths.login}>
            Log in again
          </Link>
        </p>
      </section>
    );
  }
  const reader = currentReader();
  return (
    <section className="account">
      <Heading key="in">Log out?</Heading>
      <p>
        You are logged in as <strong>{who.username}</strong>.
      </p>
      {reader !== null && <OpenWrites reader={reader} />}
      {refusal !== null && (
        <p role="alert" className="account-refusal">
          {refusal}
        </p>
      )}
      <Button look="strong" busyText={pending ? "Logging out …" : undefined} onPress={() => void logOut()} autoFocus>
        Log out
      </Button>
    </section>
  );
}
