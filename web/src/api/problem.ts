/**
 * Problem documents (RFC 9457) as the server sends them, and the words the app shows for them.
 * The numbers are part of the API; the sentences are the app's own, and the server's detail is the fallback.
 */

export interface Problem {
  status: number;
  code: number | null;
  title: string;
  detail: string | null;
  transaction: string | null;
  /** The fields that are wrong, by name. */
  fields: Record<string, string>;
}

/** Reads a problem out of a body that may be anything: a proxy in between may have answered in its own words. */
export function problemFrom(status: number, body: unknown): Problem {
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const text = (name: string) => (typeof fields[name] === "string" && fields[name] !== "" ? fields[name] : null);
  return {
    status,
    code: typeof fields["code"] === "number" ? fields["code"] : null,
    title: text("title") ?? `The server answered ${status}`,
    detail: text("detail"),
    transaction: text("transaction"),
    fields: fieldsOf(fields["errors"]),
  };
}

function fieldsOf(errors: unknown): Record<string, string> {
  const named = Array.isArray(errors) ? (errors as { field?: unknown; detail?: unknown }[]) : [];
  const pairs = named.map(({ field, detail }) => [String(field), sentence(String(detail))] as const);
  return Object.fromEntries(pairs);
}

function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** Overload, no view, contention, a rate limit: the same request may succeed in a moment. */
const passing = new Set([715, 716, 718, 720]);

export function isPassing({ code, status }: Problem): boolean {
  return code === null ? status === 503 || status === 429 : passing.has(code);
}

/** A sentence for a person. */
export function explain(problem: Problem): string {
  switch (problem.code) {
    case 512:
      return "This is longer than the server allows.";
    case 601:
      return "There is no account with this name.";
    case 602:
      return "The password is not right.";
    case 607:
      return "This username is taken.";
    case 700:
      return "You are no longer logged in.";
    case 701:
      return "This tweet belongs to somebody else.";
    case 702:
      return "This tweet no longer exists.";
    case 706:
      return "This tweet was changed elsewhere in the meantime.";
    case 715:
      return "The server has too much to do. Nothing was changed.";
    case 716:
      return "The cluster does not take writes at the moment. Nothing was changed.";
    case 717:
      return "The cluster's memory is full: it takes no new writes until something is deleted.";
    case 718:
      return "Others changed the same thing each time this was tried. Nothing was changed.";
    case 719:
      return "Too many failed tries to log in. Wait a moment, then try again.";
    case 720:
      return "Too many requests. Wait a moment, then try again.";
  }
  return sentence(problem.detail ?? problem.title);
}
