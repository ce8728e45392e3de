/**
 * What is being written and not yet sent. A draft outlives the page, the session and a crash: it is kept on the device at
 * each change, per person, and given up only once the outbox keeps the text or the field is cleared.
 */
import { deviceShelf, type Shelf } from "./shelf.ts";

export class Draft {
  private readonly key: string;

  constructor(
    username: string,
    /** The tweet being edited; null for a new one. */
    tweetId: string | null,
    private readonly shelf: Shelf = deviceShelf,
  ) {
    this.key = `skein.draft.${username.toLowerCase()}${tweetId === null ? "" : `.${tweetId}`}`;
  }

  /** Null when nothing was begun. */
  read(): string | null {
    return this.shelf.read(this.key);
  }

  /** A full or forbidden storage must not stop anybody from writing; the field itself still has the text. */
  write(text: string): void {
    if (text === "") this.shelf.remove(this.key);
    else this.shelf.write(this.key, text);
  }

  clear(): void {
    this.shelf.remove(this.key);
  }

  /** Gives it up if it still is this text. */
  clearIf(text: string): void {
    if (this.read() === text) this.clear();
  }
}
