/**
 * Light or dark: the system's preference until the reader chooses. public/theme.js applies a choice before the
 * first paint; this store makes and keeps it.
 */
import { Store } from "../store.ts";

export type Theme = "system" | "light" | "dark";

const key = "skein.theme";

class ThemeChoice extends Store<Theme> {
  constructor() {
    const chosen = document.documentElement.dataset["theme"];
    super(chosen === "light" || chosen === "dark" ? chosen : "system");
  }

  choose(theme: Theme): void {
    if (theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    try {
      if (theme === "system") localStorage.removeItem(key);
      else localStorage.setItem(key, theme);
    } catch {
      // Without storage the choice holds until the page is closed.
    }
    this.set(theme);
  }
}

export const theme = new ThemeChoice();
