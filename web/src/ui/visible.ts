/**
 * Whether there is anything to see of a text: the rule of the server, `coordinator/src/visible.rs`, which refuses names and
 * tweets that have nothing but white space, and characters that are not drawn by themselves or only change the direction of others.
 */
const drawn =
  /[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}\p{M}\p{Noncharacter_Code_Point}\u2800\uFFF9-\uFFFC\u{13430}-\u{13442}\u{1D159}]/u;

export function isVisible(text: string): boolean {
  return drawn.test(text);
}
