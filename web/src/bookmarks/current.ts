/** The bookmarks of whoever is logged in. */
import { perPerson } from "../api/per-person.ts";
import { session } from "../api/session.ts";
import { BookmarkStore } from "./bookmark-store.ts";

export const currentBookmarks = perPerson(
  (username) => new BookmarkStore({ isStill: () => session.isStill(username), lost: () => session.lost() }),
);
