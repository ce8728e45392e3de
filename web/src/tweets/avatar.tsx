/** A coloured initial: enough to tell people apart at a glance, and purely decoration beside the name. */
export function Avatar({ username }: { username: string }) {
  return (
    <span className={`avatar avatar-${hueOf(username)}`} aria-hidden="true">
      {username.charAt(0).toUpperCase()}
    </span>
  );
}

const hues = 8;

function hueOf(username: string): number {
  let sum = 0;
  for (const character of username.toLowerCase()) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return sum % hues;
}
