/**
 * Keys that name a write: 128 random bits. `crypto.randomUUID` exists on secure origins alone, and a server on a
 * plain-HTTP address of a local network is none, so the key is made from `getRandomValues`, which is everywhere.
 */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
