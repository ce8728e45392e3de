import { useEffect, useRef, useState } from "react";
import { settings } from "../api/settings.ts";
import { Button } from "../ui/button.tsx";
import { useStore } from "../ui/use-store.ts";
import { Draft } from "./draft.ts";
import { tooManyWrites } from "./outbox.ts";
import type { Reader } from "./reader.ts";
import { TextBox, textFault } from "./text-box.tsx";

export interface ComposerProps {
  reader: Reader;
  /** A refused post that its author wants to work on again. */
  handedBack: { text: string } | null;
}

/** Where a tweet is written. Posting empties the field; the draft goes once the outbox keeps the text on the device. */
export function Composer({ reader, handedBack }: ComposerProps) {
  const { tweetCharactersMax } = useStore(settings);
  const [draft] = useState(() => new Draft(reader.username, null));
  const [text, setText] = useState(() => draft.read() ?? "");
  const [fault, setFault] = useState<string | null>(null);
  const box = useRef<HTMLDivElement>(null);

  function change(next: string) {
    setText(next);
    setFault(null);
    draft.write(next);
  }

  useEffect(() => {
    if (handedBack === null) return;
    setText((before) => {
      const next = before.trim() === "" ? handedBack.text : `${before}\n${handedBack.text}`;
      draft.write(next);
      return next;
    });
    box.current?.querySelector("textarea")?.focus();
  }, [handedBack, draft]);

  function post() {
    const found = textFault(text, tweetCharactersMax);
    const taken = found === null ? reader.outbox.add({ kind: "post", text }) : null;
    if (taken === "kept") change("");
    else if (taken === "not kept") setText("");
    else setFault(found ?? tooManyWrites);
    box.current?.querySelector("textarea")?.focus();
  }

  return (
    <div className="composer" ref={box}>
      <TextBox
        label="New tweet"
        labelHidden
        placeholder="What is happening?"
        text={text}
        max={tweetCharactersMax}
        onChange={change}
        onSubmit={post}
      />
      <div className="composer-row">
        <p role="alert" className="composer-fault">
          {fault}
        </p>
        <kbd className="composer-keys" aria-hidden="true">
          Ctrl Enter
        </kbd>
        <Button look="strong" onPress={post}>
          Post
        </Button>
      </div>
    </div>
  );
}
