/** Says in which state one of the reader's own writes is: under the tweet it concerns, with what can be done about it. */
import type { ReactNode } from "react";
import { explain, isPassing } from "../api/problem.ts";
import { Button } from "../ui/button.tsx";
import { Icon, type IconName } from "../ui/icon.tsx";
import type { Entry } from "./outbox.ts";
import type { Reader } from "./reader.ts";

export interface WriteStatusProps {
  reader: Reader;
  entry: Entry;
  /** Takes the text up again. */
  onAgain?: (() => void) | undefined;
  /** What taking it up is called, where it is not editing again. */
  againText?: string;
}

export function WriteStatus(props: WriteStatusProps) {
  const { state, kept } = props.entry;
  return (
    <>
      <StateStatus {...props} />
      {!kept && state.kind !== "committed" && (
        <Status tone="refused" icon="alert" text="Not kept on this device: leave this page open until it is through." />
      )}
    </>
  );
}

function StateStatus({ reader, entry, onAgain, againText = "Edit again" }: WriteStatusProps) {
  const { state, key, intent } = entry;
  const noun = { post: "post", edit: "edit", delete: "deletion" }[intent.kind];
  const puttingAway = (
    <>
      {onAgain !== undefined && (
        <Button
          look="quiet"
          onPress={() => {
            onAgain();
            reader.outbox.dismiss(key);
          }}
        >
          {againText}
        </Button>
      )}
      <Button look="quiet" onPress={() => reader.outbox.dismiss(key)}>
        {intent.kind === "delete" ? "Dismiss" : "Discard"}
      </Button>
    </>
  );
  switch (state.kind) {
    case "held":
      return null;
    case "queued":
      return <Status tone="busy" icon="clock" text="Kept on this device. Goes out when you are back online." />;
    case "elsewhere":
      return <Status tone="busy" icon="clock" text="On its way from another tab." />;
    case "sending":
      return <Status tone="busy" icon="clock" text={state.attempt === 0 ? "Sending …" : `Sending, try ${state.attempt + 1} …`} />;
    case "waiting":
      return (
        <Status
          tone="busy"
          icon="clock"
          text={`${explain(state.problem)} Trying again in ${Math.max(1, Math.round(state.delayMs / 1000))} s.`}
        />
      );
    case "unknown":
      return (
        <Status tone="unknown" icon="question" text={state.paused ? "Unknown whether this took effect." : "Unknown: asking …"}>
          {state.transaction !== null && <code className="status-transaction">{state.transaction}</code>}
          {state.paused && (
            <Button look="quiet" onPress={() => reader.outbox.ask(key)}>
              Ask again
            </Button>
          )}
        </Status>
      );
    case "committed":
      return <Status tone="committed" icon="check" text="Committed" />;
    case "refused":
      return (
        <Status tone="refused" icon="alert" text={`Your ${noun} was refused. ${explain(state.problem)}`}>
          {isPassing(state.problem) && (
            <Button look="quiet" onPress={() => reader.outbox.again(key)}>
              Try again
            </Button>
          )}
          {puttingAway}
        </Status>
      );
    case "lapsed":
      return (
        <Status
          tone="unknown"
          icon="question"
          text={`Whether your ${noun} took effect cannot be found out any more: too much time has passed. Look for it before you post it again.`}
        >
          <Button look="quiet" onPress={() => reader.outbox.renew(key)}>
            Post again
          </Button>
          {puttingAway}
        </Status>
      );
  }
}

interface StatusProps {
  tone: "busy" | "unknown" | "committed" | "refused";
  icon: IconName;
  text: string;
  children?: ReactNode;
}

/** Not a live region: reader.ts says aloud what matters, once. */
function Status({ tone, icon, text, children }: StatusProps) {
  return (
    <div className={`status status-${tone}`}>
      <span className="status-text">
        <Icon name={icon} size={16} /> {text}
      </span>
      {children}
    </div>
  );
}
