import { useState } from "react";
import type { Tweet } from "../api/client.ts";
import { settings } from "../api/settings.ts";
import { Button } from "../ui/button.tsx";
import { useStore } from "../ui/use-store.ts";
import type { Draft } from "./draft.ts";
import { tooManyWrites, type Taken } from "./outbox.ts";
import { TextBox, textFault } from "./text-box.tsx";

export interface EditorProps {
  tweet: Tweet;
  draft: Draft;
  onSave(text: string): Taken;
  onClose(): void;
}

/** Edits a tweet where it stands. What is begun is kept as a draft until the outbox keeps it or it is cancelled. */
export function Editor({ tweet, draft, onSave, onClose }: EditorProps) {
  const { tweetCharactersMax } = useStore(settings);
  const [text, setText] = useState(() => draft.read() ?? tweet.text);
  const [fault, setFault] = useState<string | null>(null);

  function change(next: string) {
    setText(next);
    setFault(null);
    draft.write(next);
  }

  function save() {
    const found = textFault(text, tweetCharactersMax);
    if (found !== null) return setFault(found);
    const taken = text === tweet.text ? null : onSave(text);
    if (taken === "too many") return setFault(tooManyWrites);
    if (taken !== "not kept") draft.clear();
    onClose();
  }

  function cancel() {
    draft.clear();
    onClose();
  }

  return (
    <div className="editor">
      <TextBox
        label="Edit your tweet"
        labelHidden
        text={text}
        max={tweetCharactersMax}
        autoFocus
        onChange={change}
        onSubmit={save}
        onEscape={cancel}
      />
      <div className="composer-row">
        <p role="alert" className="composer-fault">
          {fault}
        </p>
        <Button look="plain" onPress={cancel}>
          Cancel
        </Button>
        <Button look="strong" onPress={save}>
          Save
        </Button>
      </div>
    </div>
  );
}
