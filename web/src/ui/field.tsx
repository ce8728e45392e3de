import { FieldError, Input, Label, Text, TextField, type TextFieldProps } from "react-aria-components";

export interface FieldProps extends Omit<TextFieldProps, "className" | "children"> {
  label: string;
  hint?: string | undefined;
  /** Why the server refused this field. */
  error?: string | undefined;
  /** A name or address, which no keyboard should capitalise or correct. */
  literal?: boolean;
}

/** A labelled line of text with its hint and its error tied to it. */
export function Field({ label, hint, error, literal = false, ...rest }: FieldProps) {
  return (
    <TextField {...rest} isInvalid={error !== undefined} validationBehavior="aria" className="field">
      <Label className="field-label">{label}</Label>
      <Input className="field-input" {...(literal ? { autoCapitalize: "none", spellCheck: false } : {})} />
      {hint !== undefined && (
        <Text slot="description" className="field-hint">
          {hint}
        </Text>
      )}
      <FieldError className="field-error">{error}</FieldError>
    </TextField>
  );
}
