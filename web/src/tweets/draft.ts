/**
 * What is being written and not yet sent. A draft outlives the page, the session and a crash: it is stored at each
 * change, per person, and given up only by sending it or clearing the field.
 */
export interface Shelf {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export class Draft {
  private readonly key: string;

  constructor(
    username: string,
    /** The tweet being edited; null for a new one. */
    tweetId: string | null,
    private readonly shelf: Shelf = localStorage,
  ) {
    this.key = `skein.draft.${username.toLowerCase()}${tweetId === null ? "" : `.${tweetId}`}`;
  }

  /** Null when nothing was begun. */
  read(): string | null {
    try {
      return this.shelf.getItem(this.key);
    } catch {
      return null;
    }
  }

  write(text: string): void {
    try {
      if (text === "") this.shelf.removeItem(this.key);
      else this.shelf.setItem(this.key, text);
    } catch {
      // A full or forbidden storage must not stop anybody from writing; the field itself still has the text.
    }
  }

  clear(): void {
    this.write("");
  }
}
