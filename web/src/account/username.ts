/** What a username may be, told before the server has to. */
export function usernameFault(username: string): string | undefined {
  if (username === "") return "Enter a username.";
  if (username.length > 32) return "A username has at most 32 characters.";
  if (!/^[a-zA-Z0-9_.-]+$/.test(username)) return "A username is made of a-z, A-Z, 0-9 and the characters _ . -";
  return undefined;
}
