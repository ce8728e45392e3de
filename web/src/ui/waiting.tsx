/** Shown while something is on its way; appears late, so that quick answers do not flicker. */
export function Waiting({ what }: { what: string }) {
  return (
    <p className="waiting">
      <span className="waiting-mark" aria-hidden="true" />
      Loading {what} …
    </p>
  );
}
