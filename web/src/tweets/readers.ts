/** The reader of the session, who takes up unsettled writes as soon as there is one. */
import { perPerson } from "../api/per-person.ts";
import { session } from "../api/session.ts";
import { Reader } from "./reader.ts";

export const currentReader = perPerson((username) => new Reader(username, () => session.lost()));
