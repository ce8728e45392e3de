import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { Label, Text, TextArea, TextField } from "react-aria-components";
import { announce } from "../ui/announcer.ts";
import { characterCount, roomFor, type Room } from "../ui/characters.ts";
import { isVisible } from "../ui/visible.ts";

export interface TextBoxProps {
  label: string;
  /** Whether the label is seen; it is always heard. */
  labelHidden?: boolean;
  placeholder?: string;
  text: string;
  max: number;
  autoFocus?: boolean;
  onChange(text: string): void;
  /** Control or Command with Enter. */
  onSubmit(): void;
  onEscape?(): void;
}

/** A field for a tweet's text with its live count. The count is always seen, and heard only as room runs out. */
export function TextBox(props: TextBoxProps) {
  const count = characterCount(props.text);
  const room = roomFor(count, props.max);
  const left = props.max - count;
  const caretSet = useRef(false);
  useRoomAnnounced(room, left);

  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      props.onSubmit();
    } else if (event.key === "Escape" && props.onEscape !== undefined) {
      event.preventDefault();
      props.onEscape();
    }
  }

  return (
    <TextField
      className="text-box"
      value={props.text}
      onChange={props.onChange}
      isInvalid={room === "over"}
      validationBehavior="aria"
      autoFocus={props.autoFocus ?? false}
    >
      <Label className={props.labelHidden === true ? "visually-hidden" : "field-label"}>{props.label}</Label>
      <TextArea
        className="text-box-input"
        rows={2}
        onKeyDown={onKeyDown}
        ref={(area) => {
          // The browser puts the caret before a text that is there already; people go on at its end.
          if (area === null || caretSet.current) return;
          caretSet.current = true;
          area.setSelectionRange(area.value.length, area.value.length);
        }}
        {...(props.placeholder === undefined ? {} : { placeholder: props.placeholder })}
      />
      <Text slot="description" className={`count count-${room}`}>
        <span aria-hidden="true">
          {count} / {props.max}
        </span>
        <span className="visually-hidden">At most {props.max} characters</span>
      </Text>
    </TextField>
  );
}

function useRoomAnnounced(room: Room, left: number) {
  const [said, setSaid] = useState<Room>(room);
  useEffect(() => {
    if (room === said) return;
    setSaid(room);
    if (room === "little") announce(`${left} characters left.`);
    else if (room === "none") announce("No characters left.");
    else if (room === "over") announce("Too long.", "assertive");
  }, [room, said, left]);
}

/** Why a text cannot be sent, or null when it can. */
export function textFault(text: string, max: number): string | null {
  if (!isVisible(text)) return "Write something first.";
  const over = characterCount(text) - max;
  if (over > 0) return `${over} ${over === 1 ? "character" : "characters"} too many.`;
  return null;
}
